"""An MCP server of a few lines, on standard input and output, for tests: `stdio_server.py [ARGS]`.

Its tools show what servers do: keep state (`add`), ask the client (`ask`), answer later and in
another order (`wait`, `go`), print what is not JSON-RPC (`garbage`, `bytes`), die (`die`).
"""

import json
import os
import sys
from typing import Any

notes: list[str] = []
waiting: list[Any] = []
asking: dict[str, Any] = {}


def say(**members: Any) -> None:
    print(json.dumps({"jsonrpc": "2.0", **members}), flush=True)


def answer(message_id: Any, text: str) -> None:
    say(id=message_id, result={"content": [{"type": "text", "text": text}]})


def call(message_id: Any, name: str, text: str, token: Any) -> None:
    if token is not None:
        say(method="notifications/progress", params={"progressToken": token, "progress": 1})
    if name == "add":
        notes.append(text)
        answer(message_id, f"{len(notes)} notes")
    elif name == "ask":
        asking[f"s{len(asking)}"] = message_id
        say(id=f"s{len(asking) - 1}", method="sampling/createMessage", params={"text": text})
    elif name == "wait":
        waiting.append(message_id)
    elif name == "go":
        answer(message_id, "gone")
        while waiting:
            answer(waiting.pop(), "late")
    elif name == "garbage":
        print("Listening on stdio!", flush=True)
        answer(message_id, "said")
    elif name == "bytes":
        sys.stdout.buffer.write(b"\xff\xfe\n")
        sys.stdout.flush()
        answer(message_id, "said")
    elif name == "big":
        answer(message_id, "x" * int(text))
    elif name == "secret":
        # Nothing before a value says that it is secret.
        answer(message_id, " ".join([os.environ.get("NOTES_API_KEY", ""), *reversed(sys.argv)]))
    elif name == "die":
        sys.stderr.write("dying\n")
        sys.stderr.flush()
        os._exit(7)


def take(message: dict[str, Any]) -> None:
    message_id, params = message.get("id"), message.get("params", {})
    method = message.get("method")
    if method is None:
        answer(asking.pop(message["id"]), f"the client said {message['result']['text']}")
    elif method == "initialize":
        say(id=message_id, result={"protocolVersion": "2025-11-25", "capabilities": {}})
    elif method == "notifications/initialized":
        say(method="notifications/message", params={"data": "ready"})
    elif method == "tools/call":
        text = params.get("arguments", {}).get("text", "")
        call(message_id, params["name"], text, params.get("_meta", {}).get("progressToken"))
    elif method == "notes/list":
        say(id=message_id, result={"notes": notes})
    elif message_id is not None:
        say(id=message_id, result={})


for line in sys.stdin:
    value = json.loads(line)
    if isinstance(value, list):
        results = [{"jsonrpc": "2.0", "id": item["id"], "result": {}} for item in value]
        print(json.dumps(results), flush=True)
    else:
        take(value)
