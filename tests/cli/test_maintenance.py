"""`wiretape verify`, `rekey` and `completion`, as they are called."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.support import paths
from tests.support.stored import CHAT, document, key12, put

from wiretape.cli.main import main
from wiretape.library import replace_set

RULES = """\
version: 1
match:
  rules:
    - name: seed
      ignore: ["$.seed"]
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "recordings"


def run(*args: str, input: str | None = None) -> Result:
    return CliRunner().invoke(main, list(args), input=input, prog_name="wiretape")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# ------------------------------------------------------------------ verify


def test_all_well_is_status_0(here: Path) -> None:
    put(here, document("Hi"))
    done = run("verify")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "wiretape: 1 recording: all well\n"


def test_a_finding_is_a_line_with_its_file_and_status_1(here: Path) -> None:
    put(here, document("Hi"))
    (here / "note.json").write_text("{}")
    done = run("verify")
    assert done.exit_code == 1
    assert done.stdout == (
        "recordings/note.json: has no request and response objects: not a recording;"
        " record it anew, or delete it\n"
    )
    assert done.stderr == "wiretape: 2 recordings: 1 finding in 1 file\n"


def test_findings_as_json_say_their_session(here: Path) -> None:
    put(here / "smoke", document("Hi"), "h.x/weather.json")
    done = run("verify", "--json")
    told = json.loads(done.stdout)
    assert told["wiretape_verify"] == 1
    assert [(f["file"], f["session"], f["recording"], f["rule"]) for f in told["findings"]] == [
        ("recordings/smoke/h.x/weather.json", "smoke", "h.x/weather.json", "name")
    ]


def test_fix_renames_and_rewrites_and_leaves_what_is_not_safe(here: Path) -> None:
    stored = document("Hi")
    path = put(here, stored, "h.x/weather.json")
    text = path.read_text()
    path.write_text(json.dumps(json.loads(text)))
    (here / "note.json").write_text("{}")
    done = run("verify", "--fix")
    assert done.exit_code == 1
    assert "recordings/h.x/weather.json: fixed: not written as wiretape" in done.stdout
    assert "recordings/note.json: has no request" in done.stdout
    assert done.stderr == "wiretape: 2 recordings: 1 finding in 1 file; 2 fixed\n"
    assert (here / f"h.x/{key12(stored)}.json").read_text() == text
    assert run("verify").stdout.count("\n") == 1


def test_fix_of_all_there_is_is_status_0(here: Path) -> None:
    put(here, document("Hi"), "h.x/weather.json")
    assert run("verify", "--fix").exit_code == 0


def test_a_baseline_lets_secrets_pass(here: Path, tmp_path: Path) -> None:
    key = "tgp_v1_" + "0123456789abcdefghijklmnopqrstuvwxyzABCDEF_"
    put(here, document(f"my key is {key}"))
    told = json.loads(run("verify", "--json").stdout)["findings"]
    secret = next(one for one in told if one["rule"] == "secret")
    rule = re.search(r"line \d+: ([\w-]+):", secret["text"])
    assert rule is not None
    (tmp_path / "known.yaml").write_text(
        "version: 1\nallow:\n"
        f'  - {{file: "{secret["file"]}", rule: {rule[1]}, reason: it is made up}}\n'
    )
    left = json.loads(run("verify", "--json", "--baseline", "known.yaml").stdout)["findings"]
    assert [one["rule"] for one in left if one["rule"] == "secret"] == []


def test_a_folder_that_is_not_there_is_wrong_use(here: Path) -> None:
    done = run("verify")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        "wiretape: recordings: no such folder; name the folder of the recordings with -r\n"
    )


# ------------------------------------------------------------------ rekey


def test_a_new_rule_renames_and_merges_takes(here: Path, tmp_path: Path) -> None:
    late = document("Hi", "2026-02-01T00:00:00Z", seed=1)
    soon = document("Hi", "2026-01-01T00:00:00Z", seed=2)
    other = document("Ho")
    texts = [put(here, stored).read_text() for stored in (late, soon, other)]
    (tmp_path / "config.yaml").write_text(RULES)
    assert run("verify").exit_code == 1
    done = run("rekey")
    assert (done.exit_code, done.stderr) == (0, "wiretape: 2 of 3 recordings renamed\n")
    new = key12(document("Hi"))
    assert (here / CHAT / f"{new}.json").read_text() == texts[1]
    assert (here / CHAT / f"{new}.2.json").read_text() == texts[0]
    assert (here / CHAT / f"{key12(other)}.json").read_text() == texts[2]
    assert len(names(here)) == 3
    assert run("verify").exit_code == 0
    assert run("rekey").stderr == "wiretape: 0 of 3 recordings renamed\n"


def test_a_conversation_told_by_ids_stays_one(here: Path, tmp_path: Path) -> None:
    def stored(prompt: str, *given: tuple[str, str]) -> dict[str, Any]:
        made = document(prompt, seed=7, **({"previous_response_id": given[0][0]} if given else {}))
        if given:
            made["request"]["ids"] = dict(given)
        return made

    first = stored("one")
    second = stored("two", ("resp_1", f"{key12(first)}#0"))
    third = stored("three", ("resp_2", f"{key12(second)}#0"))
    for one in (first, second, third):
        put(here, one)
    assert run("verify").exit_code == 0
    (tmp_path / "config.yaml").write_text(RULES)
    assert run("rekey").stderr == "wiretape: 3 of 3 recordings renamed\n"
    left = {path.stem: json.loads(path.read_text())["request"] for path in here.rglob("*.json")}
    by_prompt = {
        request["body"]["messages"][0]["content"]: (name, request.get("ids"))
        for name, request in left.items()
    }
    assert by_prompt["two"][1] == {"resp_1": f"{by_prompt['one'][0]}#0"}
    assert by_prompt["three"][1] == {"resp_2": f"{by_prompt['two'][0]}#0"}
    assert by_prompt.keys() == {"one", "two", "three"}
    assert {key12(first), key12(second), key12(third)}.isdisjoint(left)
    assert run("verify").exit_code == 0


def test_a_dry_run_tells_and_touches_nothing(here: Path) -> None:
    stored = document("Hi")
    put(here, stored, "h.x/weather.json")
    done = run("rekey", "--dry-run")
    assert done.exit_code == 1
    assert done.stdout == (f"recordings/h.x/weather.json -> recordings/h.x/{key12(stored)}.json\n")
    assert done.stderr == "wiretape: 1 of 1 recording would be renamed\n"
    assert names(here) == ["weather.json"]


def test_each_session_is_renamed_in_itself(here: Path) -> None:
    stored = document("Hi")
    put(here / "one", stored, "h.x/weather.json")
    put(here / "two", stored, "h.x/weather.json")
    assert run("rekey", "--session", "two").stderr == "wiretape: 1 of 1 recording renamed\n"
    assert [path.relative_to(here).as_posix() for path in sorted(here.rglob("*.json"))] == [
        "one/h.x/weather.json",
        f"two/h.x/{key12(stored)}.json",
    ]


def test_what_is_no_recording_is_skipped_and_its_name_not_taken(here: Path) -> None:
    stored = document("Hi")
    put(here, stored, "weather.json")
    (here / f"{key12(stored)}.json").write_text("{}")
    done = run("rekey", "--json")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert (told["skipped"], told["renamed"]) == (
        1,
        [
            {
                "from": "recordings/weather.json",
                "to": f"recordings/{key12(stored)}.2.json",
                "ids": False,
            }
        ],
    )
    assert (here / f"{key12(stored)}.json").read_text() == "{}"


def test_llamastacks_own_recordings_keep_their_names(here: Path) -> None:
    seed = next(paths.RECORDINGS.glob("*.json"))
    here.mkdir()
    (here / "mine.json").write_bytes(seed.read_bytes())
    assert run("rekey").exit_code == 0
    assert names(here) == ["mine.json"]


def test_an_interrupted_rekey_is_told_and_finished(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = document("Hi")
    name = f"{key12(stored)}.json"
    put(here, stored, "aaaaaaaaaaaa.json")
    with monkeypatch.context() as patch:
        patch.setattr(replace_set, "finish", lambda root: 0)
        assert run("rekey").exit_code == 0
    assert "a `wiretape rekey` or `redact` was interrupted" in run("verify").stdout
    assert run("rekey", "--dry-run").exit_code == 2
    done = run("rekey")
    assert done.exit_code == 0
    assert "1 file of an interrupted rekey or redact put in place first" in done.stderr
    assert names(here) == [name]


# ------------------------------------------------------------------ completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_is_the_one_that_click_makes(shell: str) -> None:
    done = run("completion", shell)
    assert done.exit_code == 0
    assert f"_WIRETAPE_COMPLETE={shell}_complete" in done.stdout


def test_zsh_knows_its_completion_by_the_first_line() -> None:
    assert run("completion", "zsh").stdout.startswith("#compdef wiretape\n")


def test_help_says_how_a_completion_is_installed() -> None:
    text = run("completion", "--help").stdout
    assert all(f"wiretape completion {shell} > " in text for shell in ("bash", "zsh", "fish"))


def test_bash_can_read_its_completion(tmp_path: Path) -> None:
    (tmp_path / "script").write_text(run("completion", "bash").stdout)
    read = subprocess.run(
        ["bash", "-n", str(tmp_path / "script")], capture_output=True, text=True, check=False
    )
    assert (read.returncode, read.stderr) == (0, "")


def test_another_shell_is_wrong_use() -> None:
    assert run("completion", "tcsh").exit_code == 2
