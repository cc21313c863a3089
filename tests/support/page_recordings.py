"""Recordings for the page: streamed, with what a test wants to see of them."""

from pathlib import Path
from typing import Any

from tests.support.stored import put

from wiretape.library.recording_file import LoadedRecording, load

KEY = "REDACTED-openai-key-a3c57030"
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
    "AAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def recording(words: list[str], prompt: Any = "Say it", **more: Any) -> dict[str, Any]:
    """A recorded chat whose answer came a word a chunk, every 0.1 seconds from 0.2 on; `more` are
    members of the document.
    """
    body: list[dict[str, Any]] = [
        {
            "__data__": {"choices": [{"index": 0, "delta": {"content": word}}]},
            "at": round(0.2 + number / 10, 3),
        }
        for number, word in enumerate(words)
    ]
    usage = {"prompt_tokens": 7, "completion_tokens": len(words)}
    end = round(0.2 + len(words) / 10, 3)
    body.append({"__data__": {"choices": [], "usage": usage}, "at": end})
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
            "endpoint": "/v1/chat/completions",
        },
        "response": {
            "status": 200,
            "headers": {"content-type": "text/event-stream"},
            "is_streaming": True,
            "end_at": end,
            "body": body,
        },
        **more,
    }


def write(folder: Path, name: str, document: dict[str, Any]) -> Path:
    """Write a recording to a folder of recordings; gives its file."""
    return put(folder, document, name)


def loaded(folder: Path, document: dict[str, Any]) -> LoadedRecording:
    """A document as the page gets it: written and read."""
    return load(write(folder, "a.json", document))
