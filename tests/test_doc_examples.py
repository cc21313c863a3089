"""The Python of docs/python.md runs as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

from tests.support import paths, stored
from tests.support.limits import PATIENCE

from wiretape.core.model import Chunk, Exchange, Request, Response
from wiretape.core.recording.document import from_exchange


def test_the_examples_run_one_after_another(clean_env: dict[str, str], tmp_path: Path) -> None:
    request = Request("GET", "https", "api.openai.com", 443, "/v1/models")
    response = Response(200, stored.JSON, (Chunk(b'{"data": []}', 0.1),))
    document = from_exchange(Exchange(request, response))
    for session in ("", "checkout"):
        stored.put(tmp_path / "recordings" / session, document, "api.openai.com/v1-models/a.json")
    text = (paths.ROOT / "docs" / "python.md").read_text()
    examples = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(examples) > 4
    ran = subprocess.run(
        [sys.executable, "-c", "\n".join(examples)],
        env=clean_env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("200 {'replayed': 1}\nno recording answers GET ")
    assert "None https://api.openai.com/v1/models None 200\n0.1 b'{" in ran.stdout
    assert "checkout https://api.openai.com/v1/models" in ran.stdout
