"""The proxy of a run: its ports, and what it keeps from the collector."""

import asyncio
import gc
from pathlib import Path

import pytest
from tests.support.commands import Wiretape

from wiretape.config.load import load
from wiretape.core.playback.pace import Pace
from wiretape.report.report import Report
from wiretape.run.proxies import ReplayProxy
from wiretape.run.settings import Settings
from wiretape.tls.authority import Authority


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


async def test_the_collector_leaves_out_what_a_replay_has_imported(tmp_path: Path) -> None:
    gc.unfreeze()
    (tmp_path / "config.yaml").write_text("{}")
    config = load(tmp_path / "config.yaml", {})
    settings = Settings(mode="replay", config=config, recordings=tmp_path, pace=Pace())
    proxy = ReplayProxy(settings, Report("replay"), Authority.load_or_create(tmp_path))
    port, _ = await proxy.start(0, None)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
    assert gc.get_freeze_count() > 10_000
    await proxy.stop()
    assert gc.get_freeze_count() == 0
