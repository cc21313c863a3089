"""A folder of two recorded streams, and one in a session, for `ls`, `show` and `diff`."""

from pathlib import Path
from typing import Any, Final

from tests.support.page_recordings import write

CHAT: Final = "api.openai.com/v1-chat-completions"


def recording(words: str, prompt: str = "Say it", **more: Any) -> dict[str, Any]:
    body = [
        {"__data__": {"choices": [{"index": 0, "delta": {"content": words}}]}, "at": 0.25},
        {
            "__data__": {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}},
            "at": 0.5,
        },
        {"data": "[DONE]", "at": 0.5},
    ]
    return {
        "wiretape": 1,
        "recorded_at": "2026-01-02T03:04:05Z",
        "request": {
            "method": "POST",
            "url": "https://api.openai.com/v1/chat/completions",
            "headers": {"content-type": "application/json"},
            "body": {
                "model": "gpt-x",
                "messages": [{"role": "user", "content": prompt}],
                "stream": True,
            },
        },
        "response": {
            "status": 200,
            "headers": {"content-type": "text/event-stream"},
            "is_streaming": True,
            "end_at": 0.6,
            "body": body,
            **more,
        },
    }


def listed_folder(folder: Path) -> Path:
    """Write them below a folder; gives it."""
    write(folder, f"{CHAT}/aa0000000000.json", recording("Hello", "Say\thello"))
    write(folder, f"{CHAT}/bb0000000000.json", recording("Bye", "Say bye"))
    write(folder, f"demo/{CHAT}/cc0000000000.json", recording("Demo"))
    return folder
