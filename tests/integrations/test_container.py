"""The image, as far as it can be tried without an engine: its command serves, its check passes."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final
from urllib.request import Request, urlopen

import yaml
from tests.support import paths, stored
from tests.support.commands import serving
from tests.support.limits import PATIENCE

FOLDER: Final = paths.ROOT / "integrations" / "container"
TEXT: Final = (FOLDER / "Containerfile").read_text()


def commands() -> list[list[str]]:
    """The JSON lists after CMD: the health check's, then the image's own."""
    return [json.loads(words) for words in re.findall(r"\bCMD (\[.*\])", TEXT)]


def test_what_is_copied_is_there_and_nothing_runs_as_root() -> None:
    sources = re.findall(r"^COPY (?!--from)(\S+)", TEXT, re.MULTILINE)
    assert "." in sources
    assert all((paths.ROOT / source).exists() for source in sources)
    user = re.search(r"^USER (\d+)$", TEXT, re.MULTILINE)
    assert user is not None
    assert int(user[1]) > 0
    assert user.start() < TEXT.index("ENTRYPOINT")


def test_its_command_serves_and_its_health_check_passes(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    here = {
        "/etc/wiretape/config.yaml": str(FOLDER / "config.yaml"),
        "/recordings": str(paths.RECORDINGS),
        "8899": "0",
        "8898": "0",
    }
    check, command = commands()
    arguments = [here.get(word, word) for word in command]
    with serving(arguments, clean_env, tmp_path) as (_, ready):
        port = ready.split("base URLs http://")[1].split("/")[0].rpartition(":")[2]
        check = [word.replace(":8898", f":{port}") for word in check]
        assert f":{port}/readyz" in check[-1]
        done = subprocess.run(
            [sys.executable, *check[1:]], env=clean_env, check=False, timeout=PATIENCE
        )
    assert done.returncode == 0


def test_the_compose_file_waits_until_it_is_ready() -> None:
    services = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
    build = services["wiretape"]["build"]
    assert (FOLDER / build["context"] / build["dockerfile"]).is_file()
    assert services["tests"]["depends_on"]["wiretape"]["condition"] == "service_healthy"
    names = yaml.safe_load((FOLDER / "config.yaml").read_text())["listen"]["names"]
    assert "wiretape" in names


def test_the_sidecar_is_ready_for_the_kubelet_and_answers_the_tests(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    pod = yaml.safe_load((FOLDER / "kubernetes.yaml").read_text())["spec"]["template"]["spec"]
    (sidecar,), (tests,) = pod["initContainers"], pod["containers"]
    assert sidecar["restartPolicy"] == "Always"
    _, command = commands()
    assert sidecar["args"] == command, "the image's own"
    here = {"/etc/wiretape/config.yaml": str(FOLDER / "config.yaml"), "8899": "0", "8898": "0"}
    here["/recordings"] = str(tmp_path / "recordings")
    stored.put(tmp_path / "recordings", stored.document("hi"))
    with serving([here.get(word, word) for word in command], clean_env, tmp_path) as (_, ready):
        port = ready.split("base URLs http://")[1].split("/")[0].rpartition(":")[2]
        for probe in (sidecar["startupProbe"], sidecar["livenessProbe"]):
            assert probe["httpGet"]["port"] == sidecar["ports"][0]["name"]
            path = probe["httpGet"]["path"]
            # The kubelet asks the pod's address.
            asked = Request(f"http://127.0.0.1:{port}{path}", headers={"Host": f"10.1.2.3:{port}"})
            assert urlopen(asked, timeout=PATIENCE).status == 200
        environ = {each["name"]: each["value"] for each in tests["env"]}
        base = environ["OPENAI_BASE_URL"].replace(":8898", f":{port}")
        url = base.replace("api.openai.com", "api.together.xyz") + "/chat/completions"
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]})
        posted = Request(url, body.encode(), {"Content-Type": "application/json"})
        assert urlopen(posted, timeout=PATIENCE).status == 200
    volume = sidecar["volumeMounts"][0]["mountPath"]
    assert Path(environ["SSL_CERT_FILE"]).parent == Path(volume)
    assert (Path(clean_env["WIRETAPE_HOME"]) / Path(environ["SSL_CERT_FILE"]).name).is_file()
