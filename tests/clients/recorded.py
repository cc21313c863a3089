"""Makes the calls of llama-stack's recordings anew, with the stock openai and together packages.

python -m tests.clients.recorded FOLDER
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from openai import OpenAI
from together import Together

from .say import line


def main(folder: Path) -> None:
    clients: dict[str, Any] = {
        # As Together's documentation has it for OpenAI's package.
        "openai": OpenAI(
            api_key=os.environ["TOGETHER_API_KEY"], base_url="https://api.together.xyz/v1"
        ),
        "together": Together(),
    }
    for path in sorted(folder.glob("*.json")):
        arguments = json.loads(path.read_bytes())["request"]["body"]
        for name, client in clients.items():
            endpoint = client.chat.completions if "messages" in arguments else client.completions
            for chunk in endpoint.create(**arguments):
                line(f"{name} {path.stem}", got=chunk.model_dump(mode="json"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
