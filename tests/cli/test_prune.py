"""`wiretape unused`, `prune` and `stale`, as they are called."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.support import paths
from tests.support.stored import CHAT, document, key12, put

from wiretape.cli.main import main
from wiretape.core.recording.text import side_file_name
from wiretape.report.report import Report, Row

SEEDS = paths.RECORDINGS


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "recordings"


def run(*args: str) -> Result:
    return CliRunner().invoke(main, list(args), prog_name="wiretape")


def report(name: str, *rows: tuple[str, str | None] | tuple[str, str | None, str | None]) -> str:
    made = Report("replay")
    for outcome, recording, *session in rows:
        kind: Any = outcome
        made.add(
            Row(
                kind,
                "together",
                "POST",
                "/v1",
                recording=recording,
                session=session[0] if session else None,
            )
        )
    Path(name).write_text(json.dumps(made.as_json()))
    return name


def name_of(prompt: str) -> str:
    return f"{CHAT}/{key12(document(prompt))}.json"


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


# ------------------------------------------------------------------ unused


def test_recordings_that_no_report_names_are_listed_with_their_size(here: Path) -> None:
    put(here, document("used"))
    size = put(here, document("left")).stat().st_size
    done = run("unused", "--report", report("r.json", ("replayed", name_of("used"))))
    assert done.exit_code == 0
    assert done.stdout == f"{size:>7} B  recordings/{name_of('left')}\n"
    assert done.stderr == f"wiretape: 1 of 2 recordings unused ({size} B)\n"


def test_reports_of_shards_count_together(here: Path) -> None:
    put(here, document("one"))
    put(here, document("two"))
    first = report("1.json", ("replayed", name_of("one")))
    second = report("2.json", ("recorded", name_of("two")))
    assert run("unused", "--report", first, "--report", second).stdout == ""


def test_fail_is_status_1_where_one_is_unused(here: Path) -> None:
    put(here, document("used"))
    told = report("r.json", ("replayed", name_of("used")))
    assert run("unused", "--fail", "--report", told).exit_code == 0
    put(here, document("left"))
    assert run("unused", "--fail", "--report", told).exit_code == 1


def test_a_session_that_no_report_names_is_left_alone_unless_asked_for(here: Path) -> None:
    put(here, document("used"))
    put(here / "other", document("left"))
    told = report("r.json", ("replayed", name_of("used")))
    done = run("unused", "--report", told)
    assert done.stdout == ""
    assert "left alone, since no report names a recording of theirs: other" in done.stderr
    for asked in (["--all-sessions"], ["--session", "other"]):
        listed = json.loads(run("unused", "--json", "--report", told, *asked).stdout)["unused"]
        assert [one["file"] for one in listed] == [f"recordings/other/{name_of('left')}"]


def test_one_name_in_two_sessions_is_two_recordings(here: Path) -> None:
    put(here / "one", document("Hi"))
    put(here / "two", document("Hi"))
    put(here / "two", document("Ho"))
    told = report("r.json", ("replayed", name_of("Hi"), "one"), ("replayed", name_of("Ho"), "two"))
    listed = json.loads(run("unused", "--json", "--report", told).stdout)
    assert [one["file"] for one in listed["unused"]] == [f"recordings/two/{name_of('Hi')}"]
    assert listed["recordings"] == 3


def test_what_is_no_recording_is_not_listed(here: Path) -> None:
    put(here, document("used"))
    (here / "package.json").write_text("{}")
    told = report("r.json", ("replayed", name_of("used")))
    assert run("unused", "--report", told).stdout == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "--report r.json: cannot be read: No such file or directory"),
        ("<xml/>", "--report r.json: not a report; expected the JSON that"),
        ('{"wiretape_report": 9}', "--report r.json: a report of version 9; this wiretape reads"),
    ],
)
@pytest.mark.parametrize("command", ["unused", "prune"])
def test_a_report_that_cannot_be_used_is_wrong_use(
    here: Path, command: str, text: str | None, said: str
) -> None:
    put(here, document("left"))
    if text is not None:
        Path("r.json").write_text(text)
    done = run(command, "--report", "r.json")
    assert done.exit_code == 2
    assert done.stderr.startswith(f"wiretape: {said}")
    assert len(files(here)) == 1


def test_a_report_must_be_named() -> None:
    assert run("unused").exit_code == 2


# ------------------------------------------------------------------ prune


def pruned(here: Path, *options: str) -> tuple[Result, list[str]]:
    told = report("r.json", ("replayed", name_of("used")))
    return run("prune", "--report", told, *options), files(here)


def test_prune_deletes_what_is_unused_and_the_folders_it_empties(here: Path) -> None:
    put(here, document("used"))
    put(here, document("left"), "api.example.com/v1/0123456789ab.json")
    done, left = pruned(here, "--yes")
    assert done.exit_code == 0
    assert left == [name_of("used")]
    assert not (here / "api.example.com").exists()
    assert done.stdout.endswith("recordings/api.example.com/v1/0123456789ab.json\n")
    assert done.stderr.startswith("wiretape: 1 file deleted (")


def test_a_dry_run_deletes_nothing(here: Path) -> None:
    put(here, document("used"))
    put(here, document("left"))
    done, left = pruned(here, "--dry-run")
    assert done.exit_code == 0
    assert len(left) == 2
    assert name_of("left") in done.stdout
    assert "1 file would be deleted" in done.stderr


def test_without_a_terminal_and_yes_nothing_is_deleted(here: Path) -> None:
    put(here, document("used"))
    put(here, document("left"))
    done, left = pruned(here)
    assert done.exit_code == 2
    assert "no terminal to ask on; nothing was deleted: say --yes" in done.stderr
    assert len(left) == 2


def test_side_files_go_with_the_last_recording_that_names_them(here: Path) -> None:
    kept, gone = side_file_name(b"kept"), side_file_name(b"gone")
    used, left = document("used"), document("left")
    used["note"], left["note"] = kept, gone
    path = put(here, used)
    put(here, left)
    path.with_name(kept).write_bytes(b"kept")
    path.with_name(gone).write_bytes(b"gone")
    assert pruned(here, "--yes")[1] == sorted([name_of("used"), f"{CHAT}/{kept}"])


def test_files_of_others_are_kept(here: Path) -> None:
    put(here, document("used"))
    (here / "README.md").write_text("hello")
    (here / "package.json").write_text("{}")
    seed = next(SEEDS.glob("*.json"))
    (here / "seed.json").write_bytes(seed.read_bytes())
    done, left = pruned(here, "--yes")
    assert left == sorted([name_of("used"), "README.md", "package.json", "seed.json"])
    assert "1 unused recording of llama-stack kept (--foreign deletes them too)" in done.stderr
    assert "seed.json" not in pruned(here, "--yes", "--foreign")[1]


def test_after_a_run_with_misses_nothing_is_deleted_unless_forced(here: Path) -> None:
    put(here, document("used"))
    put(here, document("left"))
    told = report("r.json", ("replayed", name_of("used")), ("missed", None))
    done = run("prune", "--yes", "--report", told)
    assert done.exit_code == 2
    assert done.stderr == (
        "wiretape: --report r.json: no recording answered 1 of 2 requests;"
        " more may be needed than was used\n"
        "wiretape: nothing was deleted; run CMD again until it is well, or say --force\n"
    )
    assert len(files(here)) == 2
    assert run("prune", "--yes", "--force", "--report", told).exit_code == 0
    assert files(here) == [name_of("used")]


def test_a_report_of_another_folder_deletes_nothing(here: Path) -> None:
    put(here, document("left"))
    told = report("r.json", ("replayed", "elsewhere/x.json"))
    done = run("prune", "--yes", "--report", told)
    assert done.exit_code == 2
    assert "the reports name no recording that is here" in done.stderr
    assert len(files(here)) == 1


def test_prune_as_json_lists_what_went(here: Path) -> None:
    put(here, document("used"))
    put(here, document("left"))
    done, _ = pruned(here, "--yes", "--json")
    told = json.loads(done.stdout)
    assert (told["wiretape_prune"], told["dry_run"]) == (1, False)
    assert [one["recording"] for one in told["deleted"]] == [name_of("left")]


# ------------------------------------------------------------------ stale


def ago(days: int) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_old_recordings_are_listed_the_oldest_first(here: Path) -> None:
    put(here, document("new", ago(3)))
    put(here, document("old", ago(100)))
    put(here, document("older", ago(200)))
    done = run("stale", "--older-than", "90d")
    assert done.exit_code == 0
    assert done.stdout == (
        f"{ago(200)[:10]}   200 days  recordings/{name_of('older')}\n"
        f"{ago(100)[:10]}   100 days  recordings/{name_of('old')}\n"
    )
    assert done.stderr == "wiretape: 2 of 3 recordings older than 90d\n"


def test_a_recording_without_a_time_is_of_unknown_age(here: Path) -> None:
    stored = document("Hi")
    del stored["recorded_at"]
    put(here, stored)
    done = run("stale", "--older-than", "1h", "--fail")
    assert done.exit_code == 0
    assert done.stdout == f"unknown                recordings/{name_of('Hi')}\n"
    assert done.stderr == "wiretape: 0 of 1 recording older than 1h, 1 of unknown age\n"


def test_fail_is_status_1_where_one_is_old(here: Path) -> None:
    put(here, document("old", ago(100)))
    assert run("stale", "--older-than", "90d", "--fail").exit_code == 1
    assert run("stale", "--older-than", "101d", "--fail").exit_code == 0


def test_without_an_age_the_default_counts(here: Path) -> None:
    put(here, document("new", ago(89)))
    put(here, document("old", ago(91)))
    done = run("stale")
    assert name_of("old") in done.stdout
    assert done.stderr == "wiretape: 1 of 2 recordings older than 90d\n"


def test_the_default_age_is_the_configurations_and_the_option_goes_before_it(here: Path) -> None:
    Path("config.yaml").write_text("stale_after: 6w\n")
    put(here, document("old", ago(50)))
    assert run("stale").stderr == "wiretape: 1 of 1 recording older than 6w\n"
    done = run("stale", "--older-than", "90d", "--fail")
    assert (done.exit_code, done.stderr) == (0, "wiretape: 0 of 1 recording older than 90d\n")


def test_old_recordings_as_json(here: Path) -> None:
    put(here / "smoke", document("old", ago(100)))
    told = json.loads(run("stale", "--older-than", "2w", "--json").stdout)
    assert (told["wiretape_stale"], told["older_than"], told["unknown"]) == (1, "2w", [])
    assert [(one["session"], one["recording"], one["age_days"]) for one in told["stale"]] == [
        ("smoke", name_of("old"), 100)
    ]


def test_an_age_that_is_none_is_wrong_use(here: Path) -> None:
    put(here, document("old"))
    done = run("stale", "--older-than", "soon")
    assert done.exit_code == 2
    assert "'soon': expected an age such as 90d, 12h or 2w" in done.stderr
