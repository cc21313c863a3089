"""Turn the faults of config.yaml into rules that strike."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from wiretape.core.playback.faults import Fault, FaultRule
from wiretape.core.text.located import Location

from .rule_entry import rule

_MEMBERS: Final = tuple(field.name for field in fields(Fault))


def fault(entry: Mapping[str, Any]) -> Fault:
    """Make the fault of an entry whose values have been checked.

    Raises ValueError if it does nothing, or two things that exclude each other.
    """
    return Fault(**{name: entry[name] for name in _MEMBERS if entry.get(name) is not None})


def faults(
    entries: Sequence[Mapping[str, Any]],
    provider: Callable[[str, Location], str],
    wrong: list[tuple[Location, str]],
) -> tuple[FaultRule, ...]:
    """Make rules of a file's `faults`, whose entries have been checked; add problems between them
    to `wrong`. `provider` gives the key that matchers have for the provider of `when`, or
    reports at that location that it is unknown.
    """
    fault_rules = []
    names: set[str] = set()
    for index, entry in enumerate(entries):
        location: Location = ("faults", index)
        name = entry["name"]
        if name in names:
            text = f"{name} is the name of an earlier fault too; a name is one fault's"
            wrong.append(((*location, "name"), text))
        names.add(name)
        when: Mapping[str, Any] = entry.get("when") or {}
        provider_name = when.get("provider")
        key = provider_name and provider(provider_name, (*location, "when", "provider"))
        conditions = rule({"name": name, "when": when}, provider=key)
        fault_rules.append(FaultRule(fault(entry), conditions))
    return tuple(fault_rules)
