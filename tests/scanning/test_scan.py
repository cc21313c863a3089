"""Secrets in files of every kind, and the commands `wiretape scan` and `wiretape redact`."""

import base64
import gzip
import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import brotli  # type: ignore[import-untyped]  # it ships no types
import pytest
import yaml
import zstandard
from click.testing import CliRunner, Result
from tests.support import paths
from tests.support.findings import hit

from wiretape.cli.main import main
from wiretape.core.recording import text as recording_format
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules
from wiretape.scanning import scan
from wiretape.scanning.scan import credentials, search

# Put together here, so that no file of this project holds what looks like a key.
KEY = "tgp_v1_" + "Ab3dE6gH9k" * 4 + "xYz"
OTHER_KEY = "tgp_v1_" + "Zz7yX4wV1u" * 4 + "qRs"
NAMED = "Qm7" + "x9Kp2Lw5Zt8R" * 3
MASKED = f"{KEY[:10]}…({len(KEY)} characters)"

REDACTOR = Redactor(RedactionRules())


def found(data: bytes | str, name: str = "a.txt") -> list[tuple[int, str, str]]:
    """Line, rule and place of the hits in a file."""
    data = data.encode() if isinstance(data, str) else data
    return [(hit.line, hit.rule, hit.where) for hit in search(name, data, REDACTOR)]


# ------------------------------------------------------------------ kinds of files


def test_a_key_in_plain_text_is_found_with_its_line_and_masked() -> None:
    (hit,) = search("notes/a.txt", f"one\ntwo {KEY} three\n".encode(), REDACTOR)
    assert str(hit) == f"notes/a.txt:2: together-key: {MASKED}"


def test_a_text_without_secrets_has_no_hit() -> None:
    assert found("set TOGETHER_API_KEY=tgp_v1_... and sk-proj-your-key-goes-here\n") == []


def test_two_keys_of_one_line_are_two_hits() -> None:
    assert len(found(f"{KEY} {OTHER_KEY}")) == 2


def test_a_key_in_json_is_found_with_its_place() -> None:
    text = json.dumps({"a": [1, {"b": f"x {KEY}"}]}, indent=1)
    assert found(text, "a.json") == [(5, "together-key", "a[1].b")]


def test_broken_json_is_searched_as_text() -> None:
    assert found('{"a":\n "' + KEY, "a.json") == [(2, "together-key", "")]


def test_broken_yaml_is_searched_as_text() -> None:
    assert found(f"a: [\nb: {KEY}\n", "a.yaml") == [(2, "together-key", "")]


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_tells_how_text_is_encoded(coding: str) -> None:
    assert found(f"é\n{KEY}".encode(coding)) == [(2, "together-key", "")]


def test_bytes_that_are_no_text_are_searched() -> None:
    assert [rule for _, rule, _ in found(b"\x89PNG\0\xff" + KEY.encode() + b"\xff")] == [
        "together-key"
    ]


@pytest.mark.parametrize("coding", ["utf-16-le", "utf-16-be"])
def test_text_of_two_bytes_a_character_in_bytes_is_searched(coding: str) -> None:
    data = b"\xff\xfe\xfd\n" + "é".encode("latin-1") + KEY.encode(coding) + b"\xff\0\0"
    assert [rule for _, rule, _ in found(data, "a.bin")] == ["together-key"]


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_packed_file_is_unpacked(pack: Any) -> None:
    assert found(pack(json.dumps({"a": KEY}).encode()), "a.json.gz") == [(1, "together-key", "a")]


def test_a_file_that_only_begins_as_a_packed_one_is_searched_as_it_is() -> None:
    data = b"\x1f\x8b" + b"\xff " + KEY.encode()
    assert [rule for _, rule, _ in found(data)] == ["together-key"]


def test_a_file_that_unpacks_to_too_much_is_a_hit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "MAX_BYTES", 1 << 20)
    (hit,) = search("bomb.gz", gzip.compress(b"\0" * (2 << 20)), REDACTOR)
    assert str(hit) == "bomb.gz:1: unsearched: unpacks to more than 1 MiB"


@pytest.mark.parametrize("name", ["0baeb296e731.json", "0baeb296e731.10.json"])
def test_the_name_that_a_recording_has_is_no_key(name: str) -> None:
    folder = "api.openai.com/v1-organization-projects-project_id-api_keys-api_key_id"
    assert search(f"{folder}/{name}", b"{}", REDACTOR) == ()
    assert search(f"{folder}/0baeb296e731x.json", b"{}", REDACTOR) != ()
    assert [hit.where for hit in search(f"{KEY}/{name}", b"{}", REDACTOR)] == ["file name"]


def test_a_name_that_holds_a_secret_is_a_hit_and_does_not_show_it() -> None:
    hits = search(f"{KEY}/a.json", f'{{"a": "{KEY}"}}'.encode(), REDACTOR)
    assert [hit.where for hit in hits] == ["a", "file name"]
    assert KEY not in repr(hits)


def test_no_hit_holds_its_secret() -> None:
    assert KEY not in repr(search("a.txt", KEY.encode(), REDACTOR))


def test_an_answer_that_is_kept_under_its_coding_is_a_hit() -> None:
    document = json.loads(recording("x"))
    document["response"]["headers"]["content-encoding"] = "gzip, odd"
    data = json.dumps(document).encode()
    assert [str(hit) for hit in search("a.json", data, REDACTOR)] == [
        "a.json:1: unsearched: content coding gzip not decoded",
        "a.json:1: unsearched: content coding odd not decoded",
    ]
    allowed = Redactor(RedactionRules(unsearched=frozenset(("gzip", "odd"))))
    assert search("a.json", data, allowed) == ()


# ------------------------------------------------------------------ vcrpy


def cassette(**changes: Any) -> dict[str, Any]:
    request: dict[str, Any] = {
        "body": json.dumps({"prompt": "hello " * 40}),
        "headers": {"User-Agent": ["x"]},
        "method": "POST",
        "uri": "https://api.together.xyz/v1/x",
    }
    response: dict[str, Any] = {"body": {"string": "{}"}, "headers": {}, "status": {"code": 200}}
    interaction: dict[str, dict[str, Any]] = {"request": request, "response": response}
    for place, value in changes.items():
        part, _, member = place.partition("_")
        interaction[part][member] = value
    return {"interactions": [interaction], "version": 1}


def in_cassette(**changes: Any) -> list[tuple[str, str]]:
    text = yaml.safe_dump(cassette(**changes))
    return [(rule, where) for _, rule, where in found(text, "c.yaml")]


def test_a_cassette_without_secrets_has_no_hit() -> None:
    assert in_cassette() == []


def test_a_cassettes_header_is_a_secret_whatever_it_looks_like() -> None:
    place = "interactions[0].request.headers.X-Api-Key[0]"
    assert in_cassette(request_headers={"X-Api-Key": [NAMED]}) == [("x-api-key", place)]


def test_a_cassettes_cookie_and_organisation_are_secrets() -> None:
    headers = {
        "Set-Cookie": [f"__cf_bm={NAMED}; path=/; HttpOnly"],
        "anthropic-organization-id": ["0f1e2d3c-aaaa-4bbb-8ccc-1234567890ab"],
    }
    assert [rule for rule, _ in in_cassette(response_headers=headers)] == [
        "set-cookie",
        "anthropic-organization-id",
    ]


def test_a_credential_is_found_where_else_it_stands() -> None:
    hits = in_cassette(
        request_headers={"Authorization": [f"Bearer {NAMED}"]},
        response_body={"string": json.dumps({"error": f"no such key: {NAMED}"})},
    )
    assert hits == [
        ("authorization", "interactions[0].request.headers.Authorization[0]"),
        ("authorization", "interactions[0].response.body.string"),
    ]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress, brotli.compress])
def test_a_cassettes_binary_body_is_searched(pack: Any) -> None:
    packed = pack(b'{"text": "' + KEY.encode() + b'"}')
    text = yaml.dump(cassette(response_body={"string": packed}))
    assert [hit[1:] for hit in found(text, "c.yaml")] == [
        ("together-key", "interactions[0].response.body.string")
    ]


def test_the_line_of_a_hit_in_yaml_is_the_files() -> None:
    text = yaml.safe_dump(cassette(request_body=f"say {KEY} " + "and so on " * 30))
    (line,) = [at for at, row in enumerate(text.splitlines(), 1) if KEY in row]
    assert [hit[0] for hit in found(text, "c.yaml")] == [line]


def test_a_key_in_a_comment_of_yaml_is_found() -> None:
    text = f"# {OTHER_KEY}\n" + yaml.safe_dump(cassette(request_body=KEY))
    assert [(line, where) for line, _, where in found(text, "c.yaml")] == [
        (1, ""),
        (4, "interactions[0].request.body"),
    ]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (f"a: {KEY}\n# {OTHER_KEY}\nb: 1\n", [1, 2]),
        (f"a: {KEY} # {OTHER_KEY}\nb: 1\n", [1, 1]),
        (f"a: |\n  {KEY}\n  more\n# {OTHER_KEY}\nb: 1\n", [1, 4]),
    ],
)
def test_a_key_in_a_comment_beside_another_key_is_found(text: str, lines: list[int]) -> None:
    assert [hit[0] for hit in found(text, "c.yaml")] == lines


def test_every_document_of_a_yaml_stream_is_searched() -> None:
    text = f"a: x\n---\nb:\n  - {KEY}\n"
    assert found(text, "c.yaml") == [(4, "together-key", "b[0]")]


def test_yaml_that_is_nested_too_deeply_is_searched_as_text() -> None:
    assert found("[" * 3000 + KEY, "c.yaml") == [(1, "together-key", "")]


# ------------------------------------------------------------------ HAR


def har(**changes: Any) -> str:
    request = {"method": "GET", "url": "https://x.test/", "headers": [], "cookies": []}
    response = {"status": 200, "headers": [], "content": {"text": "{}"}}
    entry: dict[str, dict[str, Any]] = {"request": request, "response": response}
    for place, value in changes.items():
        part, _, member = place.partition("_")
        entry[part][member] = value
    return json.dumps({"log": {"version": "1.2", "entries": [entry]}}, indent=1)


def in_har(**changes: Any) -> list[tuple[str, str]]:
    return [(rule, where) for _, rule, where in found(har(**changes), "a.har")]


def test_a_har_without_secrets_has_no_hit() -> None:
    assert in_har() == []


@pytest.mark.parametrize(
    ("changes", "rule", "where"),
    [
        (
            {"request_headers": [{"name": "X-Goog-Api-Key", "value": NAMED}]},
            "x-goog-api-key",
            "headers[0].value",
        ),
        ({"request_cookies": [{"name": "sid", "value": NAMED}]}, "cookie", "cookies[0].value"),
        (
            {"request_queryString": [{"name": "key", "value": NAMED}]},
            "query-key",
            "queryString[0].value",
        ),
        ({"request_url": f"https://x.test/?key={NAMED}"}, "query-key", "url"),
        ({"request_url": f"https://me:{NAMED}@x.test/"}, "userinfo", "url"),
    ],
)
def test_a_hars_credentials_are_known(changes: dict[str, Any], rule: str, where: str) -> None:
    assert in_har(**changes) == [(rule, f"log.entries[0].request.{where}")]


def test_a_hars_base64_answer_is_searched_for_its_requests_credentials() -> None:
    content = {"encoding": "base64", "text": base64.b64encode(f"you: {NAMED}".encode()).decode()}
    hits = in_har(
        request_headers=[{"name": "Authorization", "value": f"Bearer {NAMED}"}],
        response_content=content,
    )
    assert [where for _, where in hits] == [
        "log.entries[0].request.headers[0].value",
        "log.entries[0].response.content.text",
    ]


# ------------------------------------------------------------------ credentials


@pytest.mark.parametrize(
    "value",
    [
        "<AUTHORIZATION_TOKEN>",
        "[FILTERED_OUT]",
        "{{together_key}}",
        "**REDACTED**",
        "$MY_KEY_1",
        "${MY_KEY_1}",
        "%MY_KEY%",
        "AUTHORIZATION-XXX",
        "OPENAI_ORGANIZATION_ID",
    ],
)
def test_what_another_tool_put_for_a_credential_is_none(value: str) -> None:
    tree = {"headers": {"Authorization": f"Bearer {value}", "x-api-key": [value]}}
    assert list(credentials(tree, RedactionRules())) == []


@pytest.mark.parametrize(
    "tree",
    [
        {"headers": {"authorization": "the user gives the authorization by hand"}},
        {"properties": {"cookie": "a=b1c2d3e4f5g6h7"}},
        {"tools": [{"name": "key", "value": NAMED}]},
        {"headers": {"content-type": "application/json", "x-api-key": None}},
        {"headers": ["x-api-key"]},
        [1, None, "x"],
        None,
    ],
)
def test_what_is_named_by_chance_is_no_credential(tree: Any) -> None:
    assert list(credentials(tree, RedactionRules())) == []


def test_basic_credentials_are_taken_apart() -> None:
    pair = base64.b64encode(b"user:pass-word-1").decode()
    tree = {"headers": {"Authorization": f"Basic {pair}"}}
    assert dict(credentials(tree, RedactionRules())) == {
        "authorization": "user:pass-word-1",
        "authorization-password": "pass-word-1",
        "authorization-user": "user",
    }


# ------------------------------------------------------------------ fingerprints


def test_a_fingerprint_tells_nothing_of_the_secret() -> None:
    one, two = (hit("a.json", line, "r", "w", masked) for line, masked in ((1, "a"), (9, "b")))
    assert one.fingerprint == two.fingerprint


def test_a_fingerprint_tells_file_rule_and_place_apart() -> None:
    hits = [hit("a", 1, "r", "w", ""), hit("b", 1, "r", "w", ""), hit("a", 1, "s", "w", "")]
    hits.append(hit("a", 1, "r", "x", ""))
    assert len({hit.fingerprint for hit in hits}) == 4


# ------------------------------------------------------------------ wiretape scan


class Shell:
    """Runs `wiretape ARGS` in a folder, in an environment without keys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *args: str | Path) -> Result:
        return CliRunner().invoke(main, [str(arg) for arg in args])

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    for name in list(os.environ):
        if any(word in name for word in ("KEY", "TOKEN", "SECRET", "PASSWORD")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path)


def test_scan_without_a_path_searches_the_recordings(shell: Shell) -> None:
    shell.write("recordings/a.json", json.dumps({"a": KEY}))
    shell.write("elsewhere.json", json.dumps({"a": KEY}))
    ran = shell("scan")
    assert (ran.exit_code, ran.stdout) == (1, f"recordings/a.json:1: together-key: {MASKED}\n")


def test_scan_searches_the_folder_that_the_configuration_names(shell: Shell) -> None:
    shell.write("config.yaml", "version: 1\nrecordings: tapes\n")
    shell.write("tapes/a.json", json.dumps({"a": KEY}))
    assert shell("scan").stdout == f"tapes/a.json:1: together-key: {MASKED}\n"


def test_scan_finds_what_the_configuration_calls_secret(shell: Shell) -> None:
    shell.write("c.yaml", 'redact: {patterns: [{name: badge, regex: "EMP-[0-9]{6}"}]}')
    shell.write("a.json", json.dumps({"a": "EMP-123456"}))
    ran = shell("scan", "-c", "c.yaml", "a.json")
    assert (ran.exit_code, ran.stdout.split(" ")[1]) == (1, "badge:")


def test_scan_finds_the_values_of_the_environments_keys(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOGETHER_API_KEY", NAMED)
    shell.write("a.txt", f"x {NAMED}")
    assert shell("scan", "a.txt").stdout.startswith("a.txt:1: together-api-key: ")


def test_scan_of_clean_files_ends_well(shell: Shell) -> None:
    shell.write("recordings/a.json", "{}")
    ran = shell("scan")
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert ran.stderr == "wiretape: 1 file, no secret found\n"


def test_scan_tells_hits_in_the_order_of_files_and_lines(shell: Shell) -> None:
    shell.write("b.txt", f"{KEY}\n\n{KEY}\n")
    shell.write("a/z.txt", KEY)
    shell.write("a/b/c.txt", KEY)
    lines = [line.rpartition(": together")[0] for line in shell("scan", ".").stdout.splitlines()]
    assert lines == ["a/b/c.txt:1", "a/z.txt:1", "b.txt:1", "b.txt:3"]


def test_a_file_that_is_named_twice_is_searched_once(shell: Shell) -> None:
    shell.write("r/a.txt", KEY)
    assert len(shell("scan", "r", "r/a.txt", "r").stdout.splitlines()) == 1


def test_scan_leaves_out_folders_of_tools_unless_they_are_named(shell: Shell) -> None:
    shell.write(".git/a.txt", KEY)
    assert shell("scan", ".").exit_code == 0
    assert shell("scan", ".git").exit_code == 1


def test_scan_without_recordings_says_what_to_do(shell: Shell) -> None:
    ran = shell("scan")
    assert ran.exit_code == 2
    assert ran.stderr == (
        "wiretape: recordings: no such folder, where built-in defaults says that recordings are;"
        " name what to scan: wiretape scan PATH…\n"
    )


def test_all_paths_that_are_not_there_are_told_before_anything_is_searched(shell: Shell) -> None:
    shell.write("a.txt", KEY)
    ran = shell("scan", "a.txt", "gone", "lost")
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr == (
        "wiretape: gone: No such file or directory; name a file or a folder that is there\n"
        "wiretape: lost: No such file or directory; name a file or a folder that is there\n"
    )


def test_a_device_is_not_read(shell: Shell) -> None:
    ran = shell("scan", "/dev/zero")
    assert (ran.exit_code, ran.stderr) == (
        2,
        "wiretape: /dev/zero: neither a file nor a folder\n",
    )


def test_a_pipe_in_a_folder_is_passed_over(shell: Shell) -> None:
    os.mkfifo(shell.folder / "pipe")
    shell.write("a.txt", "x")
    assert shell("scan", ".").exit_code == 0


def test_a_file_that_cannot_be_read_is_a_finding(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shell.write("a.txt", KEY)
    usual = Path.open

    def refuse(self: Path, *args: Any, **kwargs: Any) -> Any:
        if self.name == path.name:
            raise PermissionError(13, "Permission denied", str(self))
        return usual(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    ran = shell("scan", "a.txt")
    assert (ran.exit_code, ran.stdout) == (
        1,
        "a.txt:1: unsearched: cannot be read: Permission denied\n",
    )


def test_a_file_that_is_too_large_is_a_finding_and_is_not_read(shell: Shell) -> None:
    with (shell.folder / "large.json").open("wb") as file:
        file.truncate(1 << 30)
    ran = shell("scan", "large.json")
    assert (ran.exit_code, ran.stdout) == (
        1,
        "large.json:1: unsearched: not searched, larger than 64 MiB\n",
    )


def test_a_files_odd_name_cannot_write_to_the_terminal(shell: Shell) -> None:
    shell.write("a\x1b[2J\nb.txt", KEY)
    assert shell("scan", ".").stdout == f"a\\x1b[2J\\nb.txt:1: together-key: {MASKED}\n"


def test_scans_json_tells_each_finding_whole(shell: Shell) -> None:
    shell.write("a.json", json.dumps({"a": KEY}))
    ran = shell("scan", "--json", "a.json")
    report = json.loads(ran.stdout)
    (finding,) = report["findings"]
    assert (ran.exit_code, report["files"], report["allowed"], report["unused"]) == (1, 1, [], [])
    assert finding.pop("remedy")
    assert finding == {
        "file": "a.json",
        "line": 1,
        "rule": "together-key",
        "where": "a",
        "masked": MASKED,
        "fingerprint": hit("a.json", 1, "together-key", "a", "").fingerprint,
    }


def test_scans_sarif_goes_to_a_file_or_to_standard_output(shell: Shell) -> None:
    shell.write("a.json", json.dumps({"a": KEY}))
    assert shell("scan", "--sarif", "out.sarif", "a.json").exit_code == 1
    written = (shell.folder / "out.sarif").read_text()
    assert shell("scan", "--sarif", "-", "a.json").stdout == written
    assert json.loads(written)["runs"][0]["results"][0]["ruleId"] == "together-key"


@pytest.mark.parametrize(
    "args", [["--write-baseline"], ["--json", "--sarif", "-"], ["--baseline", "gone.yaml"]]
)
def test_wrong_usage_of_scan_is_told(shell: Shell, args: list[str]) -> None:
    shell.write("recordings/a.json", "{}")
    ran = shell("scan", *args)
    assert ran.exit_code == 2
    assert ran.stdout == "" or "--sarif" in json.loads(ran.stdout)["message"]


def test_a_baseline_is_written_and_lets_pass_once_it_has_reasons(shell: Shell) -> None:
    shell.write("a.json", json.dumps({"a": KEY}))
    assert shell("scan", "a.json", "--baseline", "b.yaml", "--write-baseline").exit_code == 0
    refused = shell("scan", "a.json", "--baseline", "b.yaml")
    assert (refused.exit_code, refused.stderr) == (
        2,
        "wiretape: b.yaml:5: allow[0]: reason is missing: say why this may stay\n",
    )
    baseline = shell.folder / "b.yaml"
    baseline.write_text(baseline.read_text().replace("''", "revoked"))
    ran = shell("scan", ".", "--baseline", "b.yaml")
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert ran.stderr == "wiretape: 1 file, no secret found (1 let pass by the baseline)\n"


def test_a_new_secret_is_told_beside_what_a_baseline_lets_pass(shell: Shell) -> None:
    entry = "{file: a.json, rule: together-key, where: a, reason: old}"
    shell.write("b.yaml", f"version: 1\nallow: [{entry}]\n")
    shell.write("a.json", json.dumps({"a": KEY, "b": OTHER_KEY}))
    ran = shell("scan", "a.json", "--baseline", "b.yaml")
    assert (ran.exit_code, len(ran.stdout.splitlines())) == (1, 1)
    assert OTHER_KEY[:10] in ran.stdout


def test_an_entry_that_is_needed_no_more_is_told(shell: Shell) -> None:
    shell.write("b.yaml", "version: 1\nallow:\n- {file: a.json, rule: jwt, reason: old}\n")
    shell.write("a.json", "{}")
    ran = shell("scan", "a.json", "--baseline", "b.yaml")
    assert ran.exit_code == 0
    assert "b.yaml:3: nothing is found there any more; take the entry out" in ran.stderr


def test_no_output_of_scan_holds_the_secret(shell: Shell) -> None:
    shell.write(f"{KEY}/a.json", json.dumps({KEY: KEY, "b": f"{KEY}{KEY}"}))
    for args in ([], ["--json"], ["--sarif", "-"]):
        ran = shell("scan", *args, ".")
        assert ran.exit_code == 1
        assert KEY not in ran.output
    shell("scan", ".", "--baseline", "b.yaml", "--write-baseline")
    assert KEY not in (shell.folder / "b.yaml").read_text()


# ------------------------------------------------------------------ wiretape redact


def recording(prompt: str) -> str:
    return recording_format.dumps(
        {
            "wiretape": 1,
            "request": {
                "method": "POST",
                "url": "https://api.together.xyz/v1/x",
                "headers": {"content-type": "application/json"},
                "body": {"prompt": prompt},
                "endpoint": "/v1/x",
            },
            "response": {
                "status": 200,
                "headers": {"content-type": "application/json"},
                "is_streaming": False,
                "body": {"__data__": {"text": "hello"}},
            },
        }
    )


def test_redact_rewrites_a_recording_and_scan_finds_no_more(shell: Shell) -> None:
    path = shell.write("recordings/a.json", recording(f"my key is {KEY}"))
    ran = shell("redact", "recordings")
    assert (ran.exit_code, ran.stdout) == (
        0,
        "recordings/a.json: request.body.prompt: together-key\n",
    )
    assert KEY not in path.read_text()
    assert shell("scan", "recordings").exit_code == 0


def test_redact_twice_is_redact_once(shell: Shell) -> None:
    path = shell.write("a.json", recording(KEY))
    shell("redact", "a.json")
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    ran = shell("redact", "a.json")
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_a_dry_run_shows_places_and_changes_nothing(shell: Shell) -> None:
    path = shell.write("a.json", recording(KEY))
    ran = shell("redact", "--dry-run", "a.json")
    assert (ran.exit_code, ran.stdout) == (1, "a.json: request.body.prompt: together-key\n")
    assert path.read_text() == recording(KEY)
    assert ran.stderr == (
        "wiretape: 1 of 1 recording would be rewritten; 1 request replayed and answered as before\n"
    )


def test_a_dry_run_of_clean_recordings_ends_well(shell: Shell) -> None:
    shell.write("a.json", recording("x"))
    assert shell("redact", "--dry-run", "a.json").exit_code == 0


def test_a_rewritten_file_keeps_its_mode_and_leaves_no_other_behind(shell: Shell) -> None:
    path = shell.write("a.json", recording(KEY))
    path.chmod(0o640)
    shell("redact", "a.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(shell.folder) == ["a.json"]


def test_a_link_to_a_recording_stays_one(shell: Shell) -> None:
    path = shell.write("a.json", recording(KEY))
    (shell.folder / "link.json").symlink_to(path)
    shell("redact", "link.json")
    assert (shell.folder / "link.json").is_symlink()
    assert KEY not in path.read_text()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.har", har(), "has no request and response objects: not a recording"),
        ("c.yaml", "interactions: []\n", "not JSON: Expecting value: line 1 column 1 (char 0)"),
        ("e.json", "", "the file is empty, expected a recording"),
        ("b.json", b"\xff", "not UTF-8 text (byte 0), expected a recording"),
    ],
)
def test_files_of_others_are_refused(
    shell: Shell, name: str, content: str | bytes, reason: str
) -> None:
    shell.write(name, content)
    ran = shell("redact", name)
    assert ran.exit_code == 1
    assert ran.stderr.splitlines()[0] == (
        f"wiretape: {name}: {reason}; only recordings of wiretape and of llama-stack can be"
        " rewritten"
    )


def test_a_file_of_others_does_not_keep_recordings_beside_it_from_being_redacted(
    shell: Shell,
) -> None:
    shell.write("r/a.json", "{}")
    path = shell.write("r/b.json", recording(KEY))
    assert shell("redact", "r").exit_code == 1
    assert KEY not in path.read_text()


@pytest.mark.parametrize("args", [[], ["gone.json"]])
def test_wrong_usage_of_redact_is_told(shell: Shell, args: list[str]) -> None:
    ran = shell("redact", *args)
    assert (ran.exit_code, ran.stdout) == (2, "")


def test_a_recording_that_cannot_be_written_stays_as_it_was(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shell.write("a.json", recording(KEY))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    ran = shell("redact", "a.json")
    assert ran.exit_code == 4
    assert "cannot be rewritten: No space left on device; nothing was written" in ran.stderr
    assert path.read_text() == recording(KEY)
    assert os.listdir(shell.folder) == ["a.json"]


# ------------------------------------------------------------------ pre-commit

ROOT = paths.ROOT


def test_the_hook_for_others_runs_scan_on_json_and_yaml_below_recordings() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert (hook["id"], hook["entry"], hook["language"]) == (
        "wiretape-scan",
        "wiretape scan",
        "python",
    )
    assert {"json", "yaml"} <= set(hook["types_or"])
    names = ["recordings/a.json", "tests/recordings/x/a.yaml", "myrecordings/a.json", "a.json"]
    assert [bool(re.search(hook["files"], name)) for name in names] == [True, True, False, False]


def test_our_own_recordings_are_scanned_and_clean(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    ((hook,),) = (repository["hooks"] for repository in config["repos"])
    assert hook["entry"] == ".venv/bin/wiretape scan"
    assert re.search(hook["files"], "recordings/33b71fb85bfb.json")
    monkeypatch.chdir(ROOT)
    ran = shell("scan", "recordings")
    assert (ran.exit_code, ran.output) == (0, "wiretape: 4 files, no secret found\n")
