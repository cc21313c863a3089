"""The demo's client: Python's own urllib, which knows nothing of wiretape.

    python -m wiretape.demo.client PROMPT [SAVE_TO]

Asks for a streamed chat answer, prints its words as they arrive and saves the raw bytes.
"""

import json
import os
import sys
import urllib.request
from pathlib import Path

MODEL = "meta-llama/Llama-3.3-70B-Instruct-Turbo-Free"


def ask(prompt: str) -> bytes:
    """Print the answer to `prompt` word by word; give the bytes it came in."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": prompt}], "stream": True}
    request = urllib.request.Request(
        "https://api.together.xyz/v1/chat/completions",
        json.dumps(body).encode(),
        {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {os.environ['TOGETHER_API_KEY']}",
        },
    )
    received = b""
    with urllib.request.urlopen(request) as answer:
        for text in answer:
            received += text
            if not text.startswith(b"data: {"):
                continue
            choices = json.loads(text[6:])["choices"]
            print(choices[0]["delta"].get("content") or "" if choices else "", end="", flush=True)
    print()
    return received


if __name__ == "__main__":
    got = ask(sys.argv[1])
    if len(sys.argv) > 2:
        Path(sys.argv[2]).write_bytes(got)
