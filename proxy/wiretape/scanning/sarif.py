"""Findings as SARIF 2.1.0 (OASIS), which code scanning reads: https://docs.oasis-open.org/sarif."""

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

from .scan import UNSEARCHED, Hit

VERSION: Final = "2.1.0"
_SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def log(hits: Iterable[Hit], allowed: Iterable[tuple[Hit, str]], version: str) -> dict[str, Any]:
    """A SARIF log of one run. `allowed` are hits that a baseline lets pass, each with its reason:
    they are suppressed results. `version` is wiretape's.
    """
    results = [(hit, "") for hit in hits] + list(allowed)
    rules = sorted({hit.rule for hit, _ in results})
    return {
        "$schema": _SCHEMA,
        "version": VERSION,
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "wiretape",
                        "semanticVersion": version,
                        "rules": [_rule(rule) for rule in rules],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(hit, rules.index(hit.rule), reason) for hit, reason in results],
            }
        ],
    }


def _rule(name: str) -> dict[str, Any]:
    if name == UNSEARCHED:
        short, help_text = (
            "A file that could not be searched",
            "Nobody knows what is in it. Make it readable, or leave it out of what is scanned.",
        )
    else:
        short, help_text = (
            f"A secret in a recording: {name}",
            "Revoke the secret where it was issued, since git keeps what was once committed; then"
            " `wiretape redact FILE` takes it out of a recording.",
        )
    return {
        "id": name,
        "shortDescription": {"text": short},
        "help": {"text": help_text},
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["security"], "security-severity": "8.0"},
    }


def _result(hit: Hit, rule_index: int, reason: str) -> dict[str, Any]:
    what = hit.masked if hit.rule == UNSEARCHED else f"{hit.masked} in {hit.where}"
    result: dict[str, Any] = {
        "ruleId": hit.rule,
        "ruleIndex": rule_index,
        "level": "error",
        "message": {"text": f"{hit.rule}: {what}" + (f". {hit.remedy}" if hit.remedy else "")},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(hit.file)},
                    "region": {"startLine": hit.line},
                },
                "logicalLocations": [{"fullyQualifiedName": hit.where}],
            }
        ],
        "partialFingerprints": {"wiretape/v1": hit.fingerprint},
    }
    if reason:
        result["suppressions"] = [{"kind": "external", "justification": reason}]
    return result


def _uri(file: str) -> str:
    """A path with "/" as a URI reference (RFC 3986): relative, unless the path is absolute."""
    path = quote(file, errors="surrogateescape")
    return f"file://{path}" if file.startswith("/") else path
