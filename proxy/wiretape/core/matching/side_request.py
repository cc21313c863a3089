"""Tell what a user asks from what an agent asks beside it: warming up, checking a quota, a title.

Such requests go to the same endpoint and share most of their members with the real ones, so by
their differences alone one may look near to the other.
"""

from dataclasses import dataclass
from typing import Any, Final

from .canonical import Canonical

_LIMITS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_SYSTEM: Final = ("system", "instructions", "systemInstruction", "system_instruction")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKind:
    """What sort of request a body is, by what it shows of itself."""

    warms_up: bool = False
    """It asks for no answer (`generate: false`: Codex before its first question)."""
    asks_for_one_token: bool = False
    """It only finds out whether it is answered (Claude Code's quota check)."""
    makes_title: bool = False
    """It has no tools, and a system text that begins with making a title."""

    @property
    def is_aside(self) -> bool:
        """Whether it is not what a user asked."""
        return self.warms_up or self.asks_for_one_token or self.makes_title

    def distance(self, other: "RequestKind") -> int:
        """In how many ways two requests are of different kinds."""
        mine = (self.warms_up, self.asks_for_one_token, self.makes_title)
        its = (other.warms_up, other.asks_for_one_token, other.makes_title)
        return sum(a != b for a, b in zip(mine, its, strict=True))


def request_kind(canonical: Canonical) -> RequestKind:
    """The kind of a request; all that is not JSON is what a user asked."""
    body = (canonical.value["body"] or {}).get("json")
    if not isinstance(body, dict):
        return RequestKind()
    return RequestKind(
        warms_up=body.get("generate") is False,
        asks_for_one_token=any(body.get(name) == 1 for name in _LIMITS),
        makes_title=not body.get("tools") and _begins_with_title(body),
    )


def _begins_with_title(body: dict[str, Any]) -> bool:
    texts = [_text(body.get(name)) for name in _SYSTEM]
    messages = body.get("messages") or body.get("input")
    first = messages[0] if isinstance(messages, list) and messages else None
    if isinstance(first, dict) and first.get("role") in ("system", "developer"):
        texts.append(_text(first.get("content")))
    return any("title" in text for text in texts)


def _text(value: Any) -> str:
    """The beginning of a system text, in lower case, however it is wrapped."""
    if isinstance(value, str):
        return value[:200].lower()
    if isinstance(value, list):
        return " ".join(map(_text, value[:4]))
    if isinstance(value, dict):
        return _text(value.get("text") or value.get("parts"))
    return ""
