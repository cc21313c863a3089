"""The examples of docs/fleet.md, as far as they can be tried without an engine or a cluster.

nginx.conf is run by tests/end_to_end/test_fleet.py.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import click
import pytest
import yaml
from tests.support import paths
from tests.support.limits import PATIENCE

from wiretape.cli.main import main
from wiretape.config.load import load

FOLDER: Final = paths.ROOT / "integrations" / "fleet"
KUBERNETES: Final = FOLDER / "kubernetes"
KUBECTL: Final = shutil.which("kubectl")


def documents(path: Path) -> list[Any]:
    return list(yaml.safe_load_all(path.read_text()))


def containers() -> list[dict[str, Any]]:
    (deployment,) = documents(KUBERNETES / "deployment.yaml")
    (job,) = documents(KUBERNETES / "sidecar.yaml")
    pods = [document["spec"]["template"]["spec"] for document in (deployment, job)]
    return [pods[0]["containers"][0], pods[1]["initContainers"][0]]


def options(arguments: list[str]) -> dict[str, Any]:
    """What the command line of a container says; an error where it says nothing that is known."""
    command = main.commands[arguments[0]]
    assert isinstance(command, click.Command)
    with command.make_context(arguments[0], list(arguments[1:])) as context:
        return context.params


def test_their_configuration_is_one_and_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (FOLDER / "config.yaml").read_text()
    assert (KUBERNETES / "config.yaml").read_text() == text
    config = load(FOLDER / "config.yaml", {})
    assert (config.store, config.sequences) == ("s3://recordings/tests", "$REDIS_URL")
    assert (config.host, config.port) == ("0.0.0.0", 8899)


def test_their_command_lines_are_wiretapes() -> None:
    words = re.findall(r"^CMD (\[.*\])", (FOLDER / "Containerfile").read_text(), re.M)
    for arguments in (json.loads(words[-1]), *(each["args"] for each in containers())):
        assert options(arguments)
    assert options(containers()[0]["args"])["drain"] == 20


def test_a_replica_may_drain_before_it_is_killed() -> None:
    (deployment,) = documents(KUBERNETES / "deployment.yaml")
    pod = deployment["spec"]["template"]["spec"]
    drain = options(pod["containers"][0]["args"])["drain"]
    assert pod["terminationGracePeriodSeconds"] > drain
    assert pod["containers"][0]["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert pod["containers"][0]["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_the_compose_file_names_files_and_services_that_are_there() -> None:
    (compose,) = documents(FOLDER / "compose.yaml")
    services = compose["services"]
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert (FOLDER / source).exists() if "/" in source else source in compose["volumes"]
        assert set(service.get("depends_on", {})) <= set(services)
        if build := service.get("build"):
            assert (FOLDER / build["context"] / build["dockerfile"]).is_file()
    upstreams = re.findall(r"server (\S+):8899", (FOLDER / "nginx.conf").read_text())
    assert set(upstreams) == {name for name in services if name.startswith("replica-")}
    environment = services["replica-1"]["environment"]
    assert environment["REDIS_URL"].split("/")[2].split(":")[0] in services
    assert environment["AWS_ENDPOINT_URL"].split("/")[2].split(":")[0] in services


def test_kustomize_builds_the_manifests() -> None:
    if KUBECTL is None:
        pytest.skip("no kubectl to build them with")
    built = subprocess.run(
        [KUBECTL, "kustomize", KUBERNETES],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert built.returncode == 0, built.stderr
    kinds = [document["kind"] for document in yaml.safe_load_all(built.stdout)]
    assert sorted(kinds) == ["ConfigMap", "Deployment", "Service"]
