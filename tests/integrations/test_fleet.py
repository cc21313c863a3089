"""The examples of docs/fleet.md, as far as they can be tried without an engine or a cluster.

nginx.conf is run by tests/end_to_end/test_fleet.py.
"""

import json
import os
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
CHART: Final = FOLDER / "helm"
TOOLS: Final = paths.ROOT / ".cache" / "kubernetes"


def tool(name: str, *arguments: str | Path) -> str:
    """The output of helm, kubectl or kubernetes-validate, of PATH or of `.ci/kubernetes-tools`."""
    places = f"{os.environ.get('PATH', '')}{os.pathsep}{TOOLS}{os.pathsep}{TOOLS / 'site/bin'}"
    program = shutil.which(name, path=places)
    if program is None:
        pytest.skip(f"no {name}: .venv/bin/python .ci/kubernetes-tools fetches it")
    ran = subprocess.run(
        [program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env={**os.environ, "PYTHONPATH": str(TOOLS / "site")},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


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
    built = by_kind(tool("kubectl", "kustomize", KUBERNETES))
    assert sorted(built) == ["ConfigMap", "Deployment", "Service"]


def by_kind(text: str) -> dict[str, Any]:
    return {document["kind"]: document for document in yaml.safe_load_all(text)}


def rendered(*values: str) -> dict[str, Any]:
    sets = [word for value in values for word in ("--set", value)]
    return by_kind(tool("helm", "template", "release", CHART, *sets))


def test_the_chart_says_what_the_manifests_say(tmp_path: Path) -> None:
    tool("helm", "lint", "--strict", CHART)
    chart = rendered()
    (deployment,) = documents(KUBERNETES / "deployment.yaml")
    (service,) = documents(KUBERNETES / "service.yaml")
    assert chart["Service"] == service
    pod = deployment["spec"]["template"]
    pod["metadata"]["annotations"] = chart["Deployment"]["spec"]["template"]["metadata"][
        "annotations"
    ]
    pod["spec"]["containers"][0]["image"] += ":latest"
    assert chart["Deployment"] == deployment
    (tmp_path / "config.yaml").write_text(chart["ConfigMap"]["data"]["config.yaml"])
    config, own = load(tmp_path / "config.yaml", {}), load(FOLDER / "config.yaml", {})
    assert (config.store, config.sequences, config.host) == (own.store, own.sequences, own.host)
    assert (config.port, config.names) == (own.port, own.names)


def test_values_of_the_chart_reach_the_command_line() -> None:
    chart = rendered("drain=45", "arguments={--pace,ttft=0.4}", "run=17", "config.listen.port=9000")
    pod = chart["Deployment"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert options(container["args"])["drain"] == 45
    assert options(container["args"])["pace"].ttft == pytest.approx(0.4)
    assert pod["terminationGracePeriodSeconds"] > 45
    assert container["env"] == [{"name": "WIRETAPE_RUN", "value": "17"}]
    assert container["ports"][0]["containerPort"] == 9000


@pytest.mark.parametrize("name", ["deployment", "service", "sidecar"])
def test_kubernetes_knows_every_member_of_the_manifests(name: str) -> None:
    tool("kubernetes-validate", "--strict", "-k", "1.33", KUBERNETES / f"{name}.yaml")


def test_kubernetes_knows_every_member_of_the_chart(tmp_path: Path) -> None:
    (tmp_path / "chart.yaml").write_text(tool("helm", "template", "release", CHART))
    tool("kubernetes-validate", "--strict", "-k", "1.33", tmp_path / "chart.yaml")
