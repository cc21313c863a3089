"""What a command imports before it does anything: `sys.modules` is the same on a busy machine."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from tests.support.limits import PATIENCE
from tests.support.paths import RECORDINGS

SCRIPT: Final = """
import sys
from wiretape.cli.start import main
out, *sys.argv[1:] = sys.argv[1:]
sys.argv[0] = "wiretape"
if sys.argv[1] in ("replay", "record"):
    from wiretape.run import late_front
    late_front._SECONDS = 1e6  # CMD may take long to do nothing
try:
    main()
except SystemExit as end:
    assert end.code in (0, 3), end.code  # nothing was asked
open(out, "w").write("\\n".join(sys.modules))
"""

NEVER: Final = ("mitmproxy", "aiohttp", "pydantic", "ruamel", "rich", "xml")
COMMANDS: Final[dict[str, tuple[list[str], tuple[str, ...]]]] = {
    "help": (
        ["--help"],
        (
            *("click", "re", "typing", "enum", "json", "contextlib", "dataclasses", "pathlib"),
            *("shutil", "wiretape.core", "wiretape.config", "wiretape.cli.main"),
        ),
    ),
    "narrow help": (
        ["--help"],
        (
            *("cryptography", "asyncio", "ssl", "yaml", "sqlite3", "email"),
            *("dataclasses", "pathlib", "wiretape.config", "wiretape.library", "wiretape.engine"),
            *("wiretape.run", "wiretape.cli.running", "wiretape.cli.options"),
        ),
    ),
    "ls": (
        ["ls", "-r", str(RECORDINGS)],
        (
            *("asyncio", "hashlib", "urllib", "decimal", "ipaddress", "msgspec", "tempfile"),
            *("wiretape.core.model", "wiretape.core.cost", "wiretape.core.conversation"),
            *("wiretape.core.recording.text", "wiretape.config.shipped", "wiretape.config.packs"),
            *("wiretape.core.providers", "wiretape.maintenance.read_row", "wiretape.library.index"),
        ),
    ),
    "ls of other files": (
        ["ls", "-r", str(RECORDINGS), "--grep", "x"],
        (
            *("cryptography", "asyncio", "filelock", "ssl", "yaml", "sqlite3", "brotli"),
            *("wiretape.engine", "wiretape.run", "wiretape.config.load", "wiretape.library.index"),
            *("wiretape.core.matching", "wiretape.core.redaction", "wiretape.core.playback"),
        ),
    ),
    "replay": (
        ["replay", "-q", "-r", str(RECORDINGS), "--", sys.executable, "-S", "-c", ""],
        (
            *("cryptography", "wiretape_mitm", "wiretape.engine.front", "wiretape.intake", "yaml"),
            *("wiretape.run.edits", "wiretape.run.stdio", "wiretape.drift"),
        ),
    ),
    "record": (
        ["record", "-q", "-r", "new", "--", sys.executable, "-S", "-c", ""],
        (
            *("wiretape.engine.front", "wiretape_mitm.hooks", "wiretape.run.stdio", "yaml"),
            "wiretape.drift",
        ),
    ),
}
"""Commands, and what they do not import besides `NEVER`, with all below it."""


def started(folder: Path, env: dict[str, str], args: list[str]) -> set[str]:
    out = folder / "modules.json"
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(out), *args],
        env=env,
        cwd=folder,
        capture_output=True,
        check=True,
        timeout=PATIENCE,
    )
    return set(out.read_text().split())


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_imports_what_it_needs(
    name: str, tmp_path: Path, clean_env: dict[str, str]
) -> None:
    args, without = COMMANDS[name]
    if name == "narrow help":
        clean_env["COLUMNS"] = "60"
    if name in ("replay", "record", "ls"):
        started(tmp_path, clean_env, args)  # makes the authority, or reads recordings
    modules = started(tmp_path, clean_env, args)
    assert "wiretape.cli.start" in modules
    assert [part for part in (*NEVER, *without) if part in modules] == []
