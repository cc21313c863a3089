"""Facts of files, as an index is given them."""

from wiretape.core.recording.given_ids import AnswerId
from wiretape.library.recording_file import AnsweredKey, Facts, MatchKind

CHAT = ("together", "POST", "/v1/chat/completions")
KEY, OTHER = "ab" * 32, "cd" * 32


def facts(
    name: str, kind: MatchKind = MatchKind.EXACT, take: int = 1, key: str = KEY, content: str = ""
) -> Facts:
    """Facts of a file that answers a key."""
    return Facts(
        name=name,
        stat=(1, 2, 3),
        settled=True,
        content=(content or name).encode(),
        take=take,
        sketch=name.encode(),
        ids=(AnswerId(f"id-{name}"),),
        keys=(AnsweredKey(key, CHAT, kind),),
    )
