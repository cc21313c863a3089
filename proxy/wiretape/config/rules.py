"""Collect the matching rules of a run: those of config.yaml, then those of the packs."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from wiretape.core.matching.rule import Rule
from wiretape.core.providers.registry import Providers
from wiretape.core.text.located import Location, Tree

from .near import near
from .packs import rules as pack_rules
from .rule_entry import rule

if TYPE_CHECKING:
    from .schema import File, RuleEntry

type Wrong = tuple[Location, str]
"""A location of the file, and what is wrong with its value beside the others."""


def rules(
    file: "File", tree: Tree, source: str, providers: Providers, wrong: list[Wrong]
) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    """Give the rules in effect, and those of packs that the file removes; add faults to `wrong`."""
    built_in = tuple(pack_rules(providers.all))
    names = [rule.name for rule in built_in]
    for index, name in enumerate(file.match.without):
        if name not in names:
            text = (
                f"no built-in rule is called {name}{near(name, names)}; wiretape rules lists them"
            )
            wrong.append((("match", "without", index), text))
    without = set(file.match.without)
    kept_rules = [rule for rule in built_in if rule.name not in without]
    _conflicts(file.match.rules, tree, [rule.name for rule in kept_rules], wrong)
    own_rules = [
        _own_rule(entry, ("match", "rules", index), tree, source, providers, wrong)
        for index, entry in enumerate(file.match.rules)
    ]
    return (*own_rules, *kept_rules), tuple(rule for rule in built_in if rule.name in without)


def _own_rule(
    entry: "RuleEntry",
    location: Location,
    tree: Tree,
    source: str,
    providers: Providers,
    wrong: list[Wrong],
) -> Rule:
    when = entry.when.provider
    provider_location = (*location, "when", "provider")
    # `--host` may add the host: a miss there suggests a rule that names it.
    provider = when and host_key(when, providers, provider_location, wrong, is_any_host=True)
    values = entry.model_dump(exclude_defaults=True)
    return rule(values, provider=provider, origin=f"{source}:{tree.line(location)}")


def host_key(
    name: str,
    providers: Providers,
    location: Location,
    wrong: list[Wrong],
    *,
    is_any_host: bool = False,
) -> str:
    """Give the key by which matchers know a provider that a rule names, by its name or a host.

    With `is_any_host` any name with a dot or a colon is a host, also if no provider has it.
    """
    if any(provider.name == name for provider in providers.all):
        return name
    host, number = _host_and_port(name)
    is_host = is_any_host and ("." in name or ":" in name)
    if not is_host and providers.find(host, number) is None:
        names = [provider.name for provider in providers.all]
        text = f"unknown provider, expected a host or one of: {', '.join(names)}{near(name, names)}"
        wrong.append((location, text))
    return providers.host_key(host, number)


def _host_and_port(name: str) -> tuple[str, int | None]:
    host, _, port = name.rpartition(":")
    if port.isdecimal() and (":" not in host or host.endswith("]")):
        return host, int(port)
    return name, None


def _conflicts(
    entries: Sequence["RuleEntry"], tree: Tree, built_in: Iterable[str], wrong: list[Wrong]
) -> None:
    """Report rules that contradict one another."""
    lines_by_name: dict[str, str] = dict.fromkeys(built_in, "")
    for index, entry in enumerate(entries):
        location: Location = ("match", "rules", index)
        line = f"line {tree.line(location)}"
        if entry.name in lines_by_name:
            line_of_other = lines_by_name[entry.name]
            text = (
                f"{entry.name} is the rule in {line_of_other} too; a name is one rule's"
                if line_of_other
                else f"{entry.name} is a built-in rule; take that out with match.without"
            )
            wrong.append(((*location, "name"), text))
        lines_by_name.setdefault(entry.name, line)
        for position, earlier in enumerate(entries[:index]):
            earlier_name = f"{earlier.name} (line {tree.line(('match', 'rules', position))})"
            wrong += [
                ((*location, key), text) for key, text in _between(entry, earlier, earlier_name)
            ]


def _between(entry: "RuleEntry", earlier: "RuleEntry", earlier_name: str) -> list[tuple[str, str]]:
    if entry.when != earlier.when:
        return []
    conflicts = [
        (key, f"{earlier_name} says {key} for the same requests; put both into one rule")
        for key in ("on", "only")
        if getattr(entry, key) and getattr(earlier, key)
    ]
    for key, other_key in (("only", "ignore"), ("ignore", "only")):
        both = [path for path in getattr(entry, key) if path in getattr(earlier, other_key)]
        if both:
            text = f"{earlier_name} has {both[0]} in {other_key} for the same requests; keep one"
            conflicts.append((key, text))
    return conflicts
