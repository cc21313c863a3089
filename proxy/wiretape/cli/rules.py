"""The command that lists the rules of matching: `wiretape rules`."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .command import guarded, print_json
from .options import CONFIG, as_json

if TYPE_CHECKING:
    from wiretape.core.matching.rule import Rule


@click.command()
@CONFIG
@click.option("--provider", metavar="NAME", help="Only the rules of this provider, and of all.")
@as_json("Print the rules as JSON.")
@guarded
def rules(config_file: Path | None, provider: str | None, as_json: bool) -> int:
    """List the rules of matching: what is not compared, where, and where the rule is written.

    \b
    wiretape rules
    wiretape rules --provider openai
    """
    from wiretape.config.load import load
    from wiretape.core.errors import ConfigError

    config = load(config_file, os.environ)
    names = [known.name for known in config.providers.all]
    if provider is not None and provider not in names:
        raise ConfigError(f"--provider {provider}: expected one of: {', '.join(names)}")
    removed = {rule.name for rule in config.removed_rules}
    every = sorted((*config.matcher.rules, *config.removed_rules), key=_order)
    chosen = [rule for rule in every if provider in (None, rule.provider) or rule.provider is None]
    if as_json:
        rows = [_document(rule, removed=rule.name in removed) for rule in chosen]
        print_json("rules", headers=list(config.matcher.headers), rules=rows)
        return 0
    for line in _lines(chosen, removed):
        click.echo(line)
    return 0


def _order(rule: "Rule") -> tuple[bool, bool, str, str]:
    return (
        not rule.own,
        rule.provider is not None,
        rule.provider or "",
        "" if rule.own else rule.name,
    )


def _document(rule: "Rule", *, removed: bool) -> dict[str, Any]:
    text = dict(rule.text or {})
    return {
        "name": rule.name,
        "origin": rule.origin,
        "in_effect": not removed,
        "when": _when(rule),
        **{key: value for key, value in text.items() if key != "when"},
    }


def _when(rule: "Rule") -> dict[str, Any]:
    when = dict((rule.text or {}).get("when", {}))
    return {"provider": rule.provider, **when} if rule.provider else when


def _lines(rules: Iterable["Rule"], removed: set[str]) -> Iterable[str]:
    for rule in rules:
        head = click.style(rule.name, bold=True)
        yield f"{head}  ({rule.origin}{', removed' if rule.name in removed else ''})"
        when = _when(rule)
        if when:
            yield f"    when {_flow(when)}"
        for key, value in (rule.text or {}).items():
            if key != "when":
                yield f"    {key} {_flow(value)}"


def _flow(value: Any) -> str:
    """A value as it could stand in config.yaml on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str) and value.replace("-", "").replace("_", "").isalnum():
        return value
    return json.dumps(value, ensure_ascii=False)
