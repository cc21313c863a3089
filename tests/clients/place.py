"""Where clients without a base URL of their own ask, and what."""

import os
from typing import Any

_PLACE = os.environ.get("CLIENTS_URL", "https://api.together.xyz")


def url(call: str) -> str:
    return f"{_PLACE}/v1/chat/completions?call={call}"


def headers() -> dict[str, str]:
    return {"Authorization": "Bearer " + os.environ["TOGETHER_API_KEY"]}


def body(call: str, *, stream: bool) -> dict[str, Any]:
    return {
        "model": "meta-llama/Llama-3.3-70B-Instruct-Turbo",
        "messages": [{"role": "user", "content": call}],
        "stream": stream,
    }
