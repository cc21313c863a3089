"""Faults as they are written in config.yaml, into faults that strike."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from wiretape.core.playback.faults import Fault, FaultRule
from wiretape.core.text.located import Location

from .rule_entry import rule

_MEMBERS: Final = tuple(field.name for field in fields(Fault))


def fault(entry: Mapping[str, Any]) -> Fault:
    """The fault that an entry says, whose values have the right types; ValueError where it does
    nothing, or two things that exclude each other.
    """
    return Fault(**{name: entry[name] for name in _MEMBERS if entry.get(name) is not None})


def faults(
    entries: Sequence[Mapping[str, Any]],
    provider: Callable[[str, Location], str],
    wrong: list[tuple[Location, str]],
) -> tuple[FaultRule, ...]:
    """The faults of a file's `faults`, which has been checked; what is wrong among them goes to
    `wrong`. `provider` gives what matchers call the provider that `when` names, or says at that
    location that there is none.
    """
    found = []
    named: set[str] = set()
    for index, entry in enumerate(entries):
        location: Location = ("faults", index)
        name = entry["name"]
        if name in named:
            text = f"{name} is the name of an earlier fault too; a name is one fault's"
            wrong.append(((*location, "name"), text))
        named.add(name)
        when: Mapping[str, Any] = entry.get("when") or {}
        wanted = when.get("provider")
        called = wanted and provider(wanted, (*location, "when", "provider"))
        conditions = rule({"name": name, "when": when}, provider=called)
        found.append(FaultRule(fault(entry), conditions))
    return tuple(found)
