"""What the values of config.yaml may be: types that pydantic checks, each with its own message.

A message shows a value only where it could be no secret.
"""

import re
import string
import warnings
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from ipaddress import IPv6Address, ip_address
from typing import Annotated, Any, Final, cast

from pydantic import AfterValidator, BeforeValidator, PlainValidator

from wiretape.core.matching.normalise import NAMED
from wiretape.core.playback.pace import Pace
from wiretape.core.playback.policy import OnMiss
from wiretape.core.redaction.rules import LARGE, Gate
from wiretape.core.text.age import parse_age
from wiretape.store_url import is_store, why_unfit

from .rule_entry import finder, linear_regex


def text_like(regex: str, expected: str, change: Callable[[str], str] = str) -> AfterValidator:
    """Make a check that all of a text fits `regex`; `change` is what becomes of one that does."""
    allowed = re.compile(regex)

    def fits(text: str) -> str:
        if not allowed.fullmatch(text):
            raise ValueError(f"expected {expected}")
        return change(text)

    return AfterValidator(fits)


def as_host(text: str) -> str:
    """Check a host or host:port, and write it in lower case. An asterisk stands for any text of its
    first labels; an IPv6 address has brackets.

    >>> as_host("*.Example.com:8443")
    '*.example.com:8443'
    """
    host = text.lower()
    match = _HOST.fullmatch(host) or _ipv6(host)
    if not match or len(match["name"]) > 253:
        both = "; what is asked of it by http counts as by https" if "://" in host else ""
        raise ValueError(
            "expected a host such as api.example.com, localhost:8443, [::1]:8443 or *.example.com,"
            f" without scheme and path{both}"
        )
    if match["port"] and not 1 <= int(match["port"]) <= 65535:
        raise ValueError("expected a port from 1 to 65535 after the host's colon")
    return host


def _ipv6(host: str) -> re.Match[str] | None:
    match = re.fullmatch(r"\[(?P<name>[0-9a-f:.]+)\](?::(?P<port>[0-9]{1,9}))?", host)
    if match is not None:
        with suppress(ValueError):
            IPv6Address(match["name"])
            return match
    return None


# A pattern's last label is written out, so that it cannot be all hosts there are.
_HOST: Final = re.compile(
    r"(?P<name>(?:[a-z0-9_*](?:[a-z0-9_*-]*[a-z0-9_*])?\.)*[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)"
    r"(?::(?P<port>[0-9]{1,9}))?"
)


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError(
            "expected an IP address of this machine: 127.0.0.1 or ::1 for itself alone, 0.0.0.0 for"
            " whoever reaches it"
        ) from None


def _between(least: int, most: int, expected: str) -> AfterValidator:
    # pydantic's own Field(ge, le) has one text for all numbers.
    def check(number: int) -> int:
        if not least <= number <= most:
            raise ValueError(f"expected {expected}, got {number}")
        return number

    return AfterValidator(check)


def as_flag(value: Any) -> Any:
    """Turn yes, no, on and off, as YAML 1.1 has them, into true or false; leave other values."""
    return _FLAGS.get(value.lower(), value) if isinstance(value, str) else value


_FLAGS: Final = {"yes": True, "on": True, "no": False, "off": False}


def as_gate(value: Any) -> Gate:
    """Check `redact.gate`: refuse or warn."""
    if value in ("refuse", "warn"):
        return cast(Gate, value)
    if as_flag(value) is False:
        raise ValueError(
            "cannot be off, since secrets would be written unseen: warn writes what still holds one"
            " and says so"
        )
    raise ValueError(f"expected refuse or warn, got {got(value)}")


def as_pace(value: Any) -> Pace:
    """Parse `pace`: instant, recorded, a factor or a speed."""
    if isinstance(value, str):
        return Pace.parse(value)
    raise ValueError(
        "expected instant, recorded, a factor such as 2x or a speed such as ttft=0.4,tps=60,"
        f" got {got(value)}"
    )


def as_amount(value: Any) -> Decimal:
    """Parse what a million tokens cost, from 0 to 1,000,000, to the digit as it is written."""
    try:
        amount = Decimal("NaN") if isinstance(value, bool) else Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount <= _MOST:
        raise ValueError(f"expected what a million tokens cost, such as 2.50, got {got(value)}")
    return amount


_MOST: Final = 1_000_000


def _age(text: str) -> str:
    parse_age(text)
    return text


def as_on_miss(value: Any) -> OnMiss:
    """Parse `on_miss`: fail, record, or {passthrough: HOSTS}."""
    if value in ("fail", "record"):
        return OnMiss(value)
    expected = "expected fail, record, or passthrough with the hosts that may be reached"
    if value == "passthrough":
        raise ValueError(f"{expected}: {{passthrough: [api.example.com]}}")
    if not isinstance(value, dict) or value.keys() != {"passthrough"}:
        raise ValueError(f"{expected}, got {got(value)}")
    hosts = value["passthrough"]
    if not isinstance(hosts, list) or not hosts or not all(isinstance(host, str) for host in hosts):
        raise ValueError("passthrough: expected a list of hosts, such as [api.example.com]")
    return OnMiss("passthrough", tuple(dict.fromkeys(as_host(host) for host in hosts)))


VARIABLES: Final = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
"""References to environment variables: $NAME, ${NAME}."""

PROXY_EXPECTED: Final = (
    "expected http://host:port, with user:password@ before the host perhaps, or an environment"
    " variable that holds it, such as $CORPORATE_PROXY"
)
_PROXY_URL: Final = re.compile(r"http://(?:[^\s/@]+@)?(?P<host>[^\s/@]+:[0-9]{1,5})/?")


def is_proxy_url(text: str) -> bool:
    """Whether a text is http://[user:password@]host:port."""
    match = _PROXY_URL.fullmatch(text)
    try:
        return match is not None and bool(as_host(match["host"]))
    except ValueError:
        return False


def as_recordings(text: str) -> str:
    """Check `recordings`: a folder, or the URL of an object store."""
    if is_store(text) and (why := why_unfit(text)) is not None:
        raise ValueError(why)
    if "://" in text and not is_store(text):
        raise ValueError("expected a folder, or s3://BUCKET/PREFIX, gs://, az:// or file:///FOLDER")
    return text


SEQUENCES_URL: Final = re.compile(r"(?:rediss?://(?:[^/]*@)?[^/@?]+(?:[/?]|$)|unix://(?:[^/]*@)?/)")
SEQUENCES_EXPECTED: Final = (
    "expected redis://host:port/database of Redis or Valkey (rediss:// with TLS), or a variable"
    " that holds it, such as $REDIS_URL"
)


def as_sequences(text: str) -> str:
    """Check `sequences`: a URL of Redis, or a variable that holds one."""
    # The value is not shown: it may hold a password.
    if not VARIABLES.fullmatch(text) and not SEQUENCES_URL.match(text):
        raise ValueError(SEQUENCES_EXPECTED)
    return text


def as_upstream_proxy(text: str) -> str:
    """Check `upstream_proxy`: a proxy's URL, in which variables may stand for parts."""
    # What a variable stands for is known only where the file is used: any fits here.
    bare = VARIABLES.fullmatch(text)
    if not bare and not is_proxy_url(VARIABLES.sub("1", text)):
        raise ValueError(PROXY_EXPECTED)
    return text


def as_regex(text: str) -> str:
    """Check that a regular expression takes linear time and does not match the empty text."""
    try:
        with warnings.catch_warnings():
            # "Possible nested set": what will mean another thing in another Python.
            warnings.simplefilter("error")
            regex = re.compile(text)
    except re.error as error:
        # Python quotes names of groups, and what is meant as one.
        reason = re.sub(r" '[^']*'", "", error.msg)
        at = "" if error.pos is None else f" at position {error.pos}"
        raise ValueError(f"not a regular expression: {reason}{at}") from None
    except (FutureWarning, DeprecationWarning, OverflowError, RecursionError) as error:
        raise ValueError(f"not a regular expression to rely on: {error}") from None
    # One character at a time: on long texts some expressions take forever.
    if any((match := regex.search(probe)) and not match[0] for probe in ("", *string.printable)):
        raise ValueError("matches the empty text: ask for at least one character")
    try:
        linear_regex(text)
    except ValueError as error:
        raise ValueError(
            f"not a regular expression of RE2, which bounds its time: {error}; RE2 has no"
            " look-around and no backreferences"
        ) from None
    return text


def _secret_regex(text: str) -> str:
    regex = re.compile(as_regex(text))
    matched = next((text for text in _PLACEHOLDERS if regex.search(text)), None)
    if matched:
        raise ValueError(
            f"matches wiretape's own placeholders, such as {matched}: ask for more of what the"
            " secret looks like"
        )
    return text


_PLACEHOLDERS: Final = ("REDACTED-authorization", "REDACTED-x-api-key-0a1b2c3d")


def as_json_path(path: str) -> str:
    """Check a JSONPath below the body."""
    if not path.startswith("$") or not path.strip("$ "):
        raise ValueError("expected a JSONPath below the body, such as $.messages[0].id or $..id")
    finder(path)
    return path


def as_body(value: Any) -> str | dict[str, Any]:
    """Check `when.body`: a JSONPath, or JSONPaths with the values they must find."""
    if isinstance(value, str):
        return as_json_path(value)
    if not isinstance(value, dict) or not value:
        raise ValueError(
            "expected a JSONPath that must find something, or JSONPaths with what they must find:"
            f' {{"$.model": "gpt-*"}}, got {got(value)}'
        )
    for path, wanted in value.items():
        as_json_path(path)
        if any(isinstance(item, dict | list) for item in _listed(wanted)) or wanted == []:
            raise ValueError("expected a value, a text with * for any text, or a list of them")
    return value


_NORMALISERS: Final = (
    f"expected one of {', '.join(NAMED)}, or {{with: …, at: […]}}, {{regex: …, replace: …}},"
    " {round: 2, at: […]}, {sorted: […]}"
)


def as_normaliser(value: Any) -> str | dict[str, Any]:
    """Check one item of `normalise`."""
    if isinstance(value, str) and value in NAMED:
        return value
    if not isinstance(value, dict):
        raise ValueError(f"{_NORMALISERS}, got {got(value)}")
    keys = set(value) - {"at"}
    checked = dict(value)
    if "at" in value:
        checked["at"] = _paths("at", value["at"])
    if keys == {"with"} and isinstance(value["with"], str) and value["with"] in NAMED:
        return checked
    if keys == {"regex", "replace"} and isinstance(value["regex"], str):
        if not isinstance(value["replace"], str):
            raise ValueError(f"replace: expected text, got {kind_of(value['replace'])}")
        as_regex(value["regex"])
        return checked
    if keys == {"round"}:
        if type(value["round"]) is not int or not 0 <= value["round"] <= 15:
            raise ValueError("round: expected a number of decimal places from 0 to 15")
        return checked
    if set(value) == {"sorted"}:
        return {"sorted": _paths("sorted", value["sorted"])}
    raise ValueError(_NORMALISERS)


def as_places(value: Any) -> bool | list[str]:
    """Check `null_is_absent`: true for everywhere, or JSONPaths."""
    flag = as_flag(value)
    return flag if isinstance(flag, bool) else _paths("", value)


def _paths(key: str, value: Any) -> list[str]:
    start = f"{key}: " if key else ""
    if not isinstance(value, list) or not value or not all(isinstance(path, str) for path in value):
        expected = (
            "expected a list of JSONPaths" if key else "expected true, or JSONPaths in a list"
        )
        raise ValueError(f"{start}{expected}, such as [$.metadata.id], got {kind_of(value)}")
    return [as_json_path(path) for path in value]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


_TOKEN: Final = r"[A-Za-z0-9!#$%&'+.^_`|~-]+"  # RFC 9110, section 5.6.2, without the asterisk
Header = Annotated[str, text_like(_TOKEN, "a header's name alone", str.lower)]
KeptHeader = Annotated[
    str,
    text_like(rf"{_TOKEN}\*?", "a header's name, or how names begin and an asterisk", str.lower),
]
AnyHeader = Annotated[
    str,
    text_like(
        rf"{_TOKEN}\*?|\*", "a header's name, how names begin and an asterisk, or *", str.lower
    ),
]
Parameter = Annotated[str, text_like(r"[^\s=&?#]+", "a query parameter's name alone", str.lower)]
Variable = Annotated[
    str,
    text_like(r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable, not its value"),
]
VariablePattern = Annotated[
    str,
    text_like(
        r"[A-Za-z_*?][A-Za-z0-9_*?]*",
        "the name of an environment variable, not its value; * stands for any text",
    ),
]
Coding = Annotated[
    str, text_like(r"[A-Za-z0-9_-]+", f"{LARGE}, or the name of a content coding", str.lower)
]
FilePath = Annotated[
    str, text_like(r"[^~\0][^\0]*", "a file, absolute or below the working directory")
]
Label = Annotated[
    str, text_like(r"[a-z0-9]+(?:-[a-z0-9]+)*", "a name of lower-case letters, digits and hyphens")
]
Named = Annotated[str, text_like(r"\S.*", "a name")]
Host = Annotated[str, AfterValidator(as_host)]
Port = Annotated[int, _between(0, 65535, "a port from 1 to 65535, or 0 for any free one")]
Address = Annotated[str, AfterValidator(_address)]
Age = Annotated[str, AfterValidator(_age)]
Amount = Annotated[Decimal, PlainValidator(as_amount)]
Currency = Annotated[str, text_like("[A-Z]{3}", "a currency's code, such as USD or EUR")]
Tokens = Annotated[int, _between(0, 1_000_000_000, "a number of tokens, 0 or more")]
Flag = Annotated[bool, BeforeValidator(as_flag)]
MissStatus = Annotated[int, _between(400, 599, "a status of an error, from 400 to 599")]
MiB = Annotated[int, _between(1, 1024, "a number of MiB from 1 to 1024")]
JsonPath = Annotated[str, AfterValidator(as_json_path)]
Regex = Annotated[str, AfterValidator(_secret_regex)]
Method = Annotated[str, text_like("[A-Za-z]+", "a method such as POST", str.upper)]
UrlPath = Annotated[str, text_like(r"[/*].*", "a path such as /v1/*")]
HostGlob = Annotated[
    str, text_like(r"[A-Za-z0-9_*?.:\[\]-]+", "a host such as *.example.com", str.lower)
]


# ------------------------------------------------------------------ how a value is shown


def kind_of(value: Any) -> str:
    """Name the kind of a value without showing it: "text", "a number"."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "a boolean"
    return _KINDS[type(value)]


_KINDS: Final[dict[type, str]] = {
    str: "text",
    int: "a number",
    float: "a number with a fraction",
    list: "a list",
    dict: "keys with values",
}


def got(value: Any) -> str:
    """Show a value of a key that never holds a secret, at most 40 characters of it."""
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:39] + "…")
    return str(value) if type(value) in (int, float) else kind_of(value)
