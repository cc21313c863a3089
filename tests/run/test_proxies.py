"""The proxy of a run: its ports."""

from pathlib import Path

import pytest
from tests.support.commands import Wiretape


@pytest.mark.parametrize("mode", ["record", "replay", "auto"])
@pytest.mark.parametrize("where", ["options", "option and file"])
def test_one_port_for_both_is_refused(
    mode: str, where: str, wiretape: Wiretape, tmp_path: Path
) -> None:
    options = ["--port", "45671"]
    if where == "options":
        options += ["--base-url-port", "45671"]
    else:
        (tmp_path / "config.yaml").write_text("listen: {base_url_port: 45671}")
    ran = wiretape(mode, *options, "--", "true", cwd=tmp_path)
    assert (ran.returncode, "two different ports" in ran.stderr) == (2, True), ran.stderr
    assert "Traceback" not in ran.stderr
