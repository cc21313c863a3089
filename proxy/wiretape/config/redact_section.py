"""What the `redact` section of config.yaml means: which values, places and patterns are secret."""

import fnmatch
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wiretape.core.providers.registry import Providers
from wiretape.core.redaction.answer_headers import DROP_RESPONSE_HEADERS
from wiretape.core.redaction.key_patterns import PATTERNS, Pattern
from wiretape.core.redaction.placeholder import PLACEHOLDER, is_strong
from wiretape.core.redaction.rules import (
    KEEP_REQUEST_HEADERS,
    SECRET_ENV,
    SECRET_HEADERS,
    SECRET_QUERY,
    JsonRule,
    RedactionRules,
)

from .rule_entry import finder, linear_regex
from .rules import Wrong

if TYPE_CHECKING:
    from .schema import File

# A body cannot be read without these.
_NEEDED_HEADERS: Final = frozenset(("content-encoding", "content-type"))


def dotenv_variables(file: "File", wrong: list[Wrong]) -> dict[str, str]:
    """Read the files of `redact.dotenv`: each variable with its value, the first file's where two
    have one. A missing file is fine: not everybody has it. Faults are added to `wrong`.
    """
    variables: dict[str, str] = {}
    for index, name in enumerate(file.redact.dotenv):
        # Imported late: only who has such files needs it.
        from dotenv.parser import parse_stream

        try:
            with Path(name).open(encoding="utf-8") as stream:
                for binding in parse_stream(stream):
                    if binding.error:
                        text = f"{name}:{binding.original.line}: expected NAME=value"
                        wrong.append((("redact", "dotenv", index), text))
                    elif binding.key is not None and binding.value is not None:
                        variables.setdefault(binding.key, binding.value)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            wrong.append((("redact", "dotenv", index), f"{name}: cannot be read: {reason}"))
    return variables


def secret_variables(
    file: "File", providers: Providers, environ: Mapping[str, str]
) -> dict[str, str]:
    """Give the variables whose values are secret: those `redact.env` names, then those of keys."""
    patterns = dict.fromkeys((*file.redact.env, *providers.key_names, *SECRET_ENV))
    return {
        name: environ[name]
        for pattern in patterns
        for name in (
            sorted(fnmatch.filter(environ, pattern)) if set("*?") & set(pattern) else [pattern]
        )
        if environ.get(name, "").strip()
    }


def weak_value_notices(file: "File", environ: Mapping[str, str]) -> Iterator[str]:
    """Word which variables have values that are not searched for; the values are not shown."""
    for name in file.redact.env:
        value = environ.get(name, "").strip()
        if value and not is_strong(value) and not PLACEHOLDER.fullmatch(value):
            yield (
                f"redact.env: the value of {name} is too short or plain to be looked for: it would"
                " be replaced where it is no secret; name its places under redact.json, query or"
                " headers"
            )


def redaction_rules(file: "File", values: Mapping[str, str], wrong: list[Wrong]) -> RedactionRules:
    """Join what wiretape comes with and what the file adds; `values` are the secret variables.

    What contradicts itself is added to `wrong`, with its place in the file.
    """
    redact = file.redact
    secret = SECRET_HEADERS.union(redact.headers)
    for key, names, text in (
        ("headers", redact.headers, "cannot be secret: a body is not readable without it"),
        (
            "drop_response_headers",
            redact.drop_response_headers,
            "cannot be left out: a body is not readable without it",
        ),
        ("keep_request_headers", redact.keep_request_headers, "is secret and never kept"),
        ("keep_response_headers", redact.keep_response_headers, "is secret and never kept"),
    ):
        refused = secret if key.startswith("keep") else _NEEDED_HEADERS
        wrong += [
            (("redact", key, index), f"{name} {text}")
            for index, name in enumerate(names)
            if name in refused
        ]
    return RedactionRules(
        # A header that is compared has to be in the recording.
        keep_request_headers=(
            KEEP_REQUEST_HEADERS.union(redact.keep_request_headers, file.match.headers) - secret
        ),
        keep_response_headers=frozenset(redact.keep_response_headers) - secret,
        drop_response_headers=DROP_RESPONSE_HEADERS.union(redact.drop_response_headers),
        secret_headers=secret,
        secret_query=SECRET_QUERY.union(redact.query),
        json=tuple(
            JsonRule(entry.name or _label(entry.path), finder(entry.path)) for entry in redact.json_
        ),
        patterns=(
            PATTERNS
            + tuple(Pattern(entry.name, linear_regex(entry.regex)) for entry in redact.patterns)
        ),
        values=tuple((name, value.strip()) for name, value in values.items()),
        gate=redact.gate,
        unsearched=frozenset(redact.unsearched),
    )


def _label(path: str) -> str:
    """Make a placeholder's label of a JSONPath: "$.user.Email" gives "user-email"."""
    return "-".join(re.findall(r"[a-z][a-z0-9]*", path.lower())) or "json"
