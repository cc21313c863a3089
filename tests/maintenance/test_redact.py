"""A folder is redacted as the conversation that it is: what an answer gave is known when it comes
back, and where it would not be nothing is written.
"""

import base64
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from click.testing import CliRunner, Result
from tests.support.cases import check_each
from tests.support.corpus_stands import stands
from tests.support.limits import part_of

from wiretape.cli.main import main
from wiretape.config.load import Config, load
from wiretape.core.model import Chunk, Exchange, Request, Response
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import from_exchange
from wiretape.core.recording.given_ids import answer_ids, stamp
from wiretape.core.redaction.redactor import Redactor
from wiretape.engine.replayer import Replayer
from wiretape.library import index_cache, read_file, replace_set
from wiretape.library.library import Library
from wiretape.maintenance import conversation
from wiretape.report.report import Report
from wiretape.sessions.sessions import Sessions

HOST = "api.example.org"
VALUE = "q7HsT2mXv9" + "LbWc4RzKp8NdFg"
OTHER = "Zt4KpW9xLm" + "7VbN6cRdYh3JsQ"
WEAK = "hunter two three"
JSON = (("content-type", "application/json"),)
FORM = (("content-type", "application/x-www-form-urlencoded"),)
SSE = (("content-type", "text/event-stream"),)
TOK = 'redact: {json: ["$.tok"]}\n'

type Take = Callable[[Response], str]


def request(
    target: str,
    body: bytes | Any = b"",
    method: str = "POST",
    headers: Iterable[tuple[str, str]] = JSON,
) -> Request:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Request(method, "https", HOST, 443, target, headers=tuple(headers), body=data)


def answer(
    body: bytes | Any = b"", headers: Iterable[tuple[str, str]] = JSON, status: int = 200
) -> Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, tuple(headers), (Chunk(data),))


@dataclass
class Folder:
    """A project with recordings that were made before there were any rules."""

    path: Path
    recorded: int = 0

    @property
    def recordings(self) -> Path:
        return self.path / "recordings"

    def record(
        self, *exchanges: tuple[Request, Response], session: str | None = None
    ) -> list[Path]:
        config = load(None, {})
        library = Library(self.recordings, config.matcher, lambda part: part, session)
        library.record_mode = "append"  # type: ignore[misc]
        library.load()
        paths = []
        for asked, answered in exchanges:
            self.recorded += 1
            at = f"2026-11-20T17:30:00.{self.recorded:06}Z"
            document = from_exchange(Exchange(asked, answered, at))
            smaller, files = recording_format.externalise(document)
            entry = library.write(smaller, recording_format.dumps(smaller), files)
            assert entry is not None
            paths.append(library.folder / entry.name)
        library.close()
        return paths

    def redact(self, *args: str | Path) -> Result:
        return CliRunner().invoke(main, ["redact", *map(str, args or ("recordings",))])

    def replayer(self, session: str | None = None) -> Replayer:
        config: Config = load(None, {})
        redactor = Redactor(config.redaction, remember=True)
        library = Library(self.recordings, config.matcher, redactor.request, session)
        library.load()
        config.providers.add_host_keys(library.host_keys())
        sessions = Sessions(lambda name: library, config.repeat)
        return Replayer(sessions, config.matcher, redactor, config.providers, Report("replay"))

    def holds(self, value: str) -> bool:
        texts = [str(path.relative_to(self.path)).encode() for path in self.path.rglob("*")]
        texts += [path.read_bytes() for path in self.recordings.rglob("*") if path.is_file()]
        return stands(value, texts)

    def contents(self) -> dict[str, bytes]:
        return {
            str(path): path.read_bytes() for path in self.recordings.rglob("*") if path.is_file()
        }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path.parent / f"{tmp_path.name}-home"))
    (tmp_path / "config.yaml").write_text(TOK)
    return Folder(tmp_path)


def asked(replayer: Replayer, request: Request) -> Response:
    played = replayer.answer(replayer.with_current_ids(replayer.prepare(request)))
    assert played is not None, f"no recording answers {request.method} {request.target}"
    return played.response


# ------------------------------------------------------------------ gives and sends

GIVES: dict[str, tuple[Callable[[str], Response], Take]] = {
    "JSON member": (
        lambda value: answer({"id": "a", "tok": value}),
        lambda given: json.loads(given.body)["tok"],
    ),
    "member named as a credential": (
        lambda value: answer({"access_token": value, "expires_in": 3600}),
        lambda given: json.loads(given.body)["access_token"],
    ),
    "Location": (
        lambda value: answer(b"", [("location", f"https://{HOST}/up?sig={value}")], 302),
        lambda given: dict(parse_qsl(urlsplit(dict(given.headers)["location"]).query))["sig"],
    ),
    "stream": (
        lambda value: Response(
            200,
            SSE,
            tuple(
                Chunk(f"data: {json.dumps(event)}\n\n".encode(), at / 8)
                for at, event in enumerate([{"n": 1}, {"tok": value}, {"n": 2}])
            ),
            streaming=True,
            headers_at=0.0,
            end_at=1.0,
        ),
        lambda given: json.loads(given.chunks[1].data[6:])["tok"],
    ),
    "form": (
        lambda value: answer(f"token_type=b&access_token={value}".encode(), FORM),
        lambda given: dict(parse_qsl(given.body.decode()))["access_token"],
    ),
}

SENDS: dict[str, Callable[[str], Request]] = {
    "URL path": lambda value: request(f"/v1/files/{value}/content", method="GET"),
    "query": lambda value: request(f"/v1/next?cursor={value}", method="GET"),
    "secret query": lambda value: request(f"/v1/next?token={value}", method="GET"),
    "JSON body": lambda value: request("/v1/use", {"handle": value, "n": 1}),
    "JSON in a string": lambda value: request("/v1/use", {"a": json.dumps({"b": value})}),
    "in prose": lambda value: request("/v1/use", {"say": f"It was {value}, please."}),
    "member's name": lambda value: request("/v1/use", {"by": {value: 1}}),
    "form field": lambda value: request("/v1/form", f"a=1&x={value}".encode(), headers=FORM),
    "header": lambda value: request("/v1/h", method="GET", headers=[("if-match", f'"{value}"')]),
    "base64": lambda value: request(
        "/v1/use", {"d": base64.b64encode(f"me:{value}".encode()).decode()}
    ),
    "multipart": lambda value: request(
        "/v1/part",
        f'--b\r\ncontent-disposition: form-data; name="x"\r\n\r\n{value}\r\n--b--\r\n'.encode(),
        headers=[("content-type", "multipart/form-data; boundary=b")],
    ),
}


BY_NAME = ["secret query"]
OTHERWISE = [name for name in SENDS if name not in BY_NAME]


# Where a request names the value as a secret it is known in all requests, whatever gave it.
@pytest.mark.parametrize("sends", [OTHERWISE, BY_NAME], ids=["not named", "named"])
@pytest.mark.parametrize(("number", "give"), [*enumerate(GIVES)], ids=GIVES)
def test_what_an_answer_gave_is_known_when_a_request_sends_it(
    folder: Folder, number: int, give: str, sends: list[str]
) -> None:
    sends = part_of(sends, number) or sends
    login = request("/v1/login", {"user": "me"})
    given, taken = GIVES[give]
    flow = [(login, given(VALUE))]
    for send in sends:
        flow.append((SENDS[send](VALUE), answer({"say": send})))
        if send not in BY_NAME:  # there any other value is as good
            other = SENDS[send]("another-one-that-no-rule-names")
            flow.append((other, answer({"say": "wrong"})))
    folder.record(*flow)
    ran = folder.redact()
    assert ran.exit_code == 0, ran.output
    assert f"{len(flow)} requests replayed and answered as before" in ran.stderr
    assert not folder.holds(VALUE)
    replayer = folder.replayer()
    value = taken(asked(replayer, login))
    assert value != VALUE

    def check_answered(send: str) -> None:
        # The client of a replay sends what it is given; one that has the value of its own, that.
        for own in (value, VALUE):
            assert json.loads(asked(replayer, SENDS[send](own)).body) == {"say": send}

    check_each(check_answered, {send: send for send in sends})
    assert CliRunner().invoke(main, ["scan"]).exit_code == 0


def test_a_value_is_found_in_recordings_before_it_was_named_and_in_every_session(
    folder: Folder,
) -> None:
    earlier = (request("/v1/use", {"say": f"it is {VALUE}"}), answer({"say": f"I see {VALUE}"}))
    folder.record(earlier)
    folder.record(earlier, session="other")
    folder.record((request("/v1/login"), answer({"tok": VALUE})))
    ran = folder.redact()
    assert ran.exit_code == 0, ran.output
    assert "3 of 3 recordings rewritten" in ran.stderr
    assert not folder.holds(VALUE)
    for session in (None, "other"):
        assert asked(folder.replayer(session), earlier[0]).status == 200


def test_a_side_file_is_searched_for_what_another_recording_names(folder: Folder) -> None:
    noise = bytes(range(256)) * 80
    body = noise + VALUE.encode() + noise
    folder.record(
        (request("/v1/login"), answer({"tok": VALUE})),
        (request("/v1/blob", method="GET"), answer(body, [("content-type", "image/png")])),
    )
    before = list(folder.recordings.rglob("*.bin"))
    ran = folder.redact()
    assert ran.exit_code == 0, ran.output
    assert not folder.holds(VALUE)
    (now,) = folder.recordings.rglob("*.bin")
    assert [now] != before
    given = asked(folder.replayer(), request("/v1/blob", method="GET"))
    assert given.body.startswith(noise)


def test_a_folder_that_is_named_after_what_is_redacted_is_renamed(folder: Folder) -> None:
    use = request(f"/v1/files/{VALUE}", method="GET")
    folder.record((request("/v1/login"), answer({"tok": VALUE})), (use, answer({"say": "right"})))
    assert folder.redact().exit_code == 0
    assert not folder.holds(VALUE)
    names = [path.name for path in (folder.recordings / HOST).iterdir()]
    assert sorted(name[:21] for name in names) == ["v1-files-REDACTED-sec", "v1-login"]


def test_polls_of_a_resource_keep_their_order(folder: Folder) -> None:
    states = ["queued", "running", "done"]
    poll = request(f"/v1/jobs/{VALUE}", method="GET")
    folder.record(
        (request("/v1/jobs", {"a": 1}), answer({"tok": VALUE})),
        *((poll, answer({"tok": VALUE, "state": state})) for state in states),
    )
    assert folder.redact().exit_code == 0
    replayer = folder.replayer()
    value = json.loads(asked(replayer, request("/v1/jobs", {"a": 1})).body)["tok"]
    again = request(f"/v1/jobs/{value}", method="GET")
    given = [json.loads(asked(replayer, again).body)["state"] for _ in range(4)]
    assert given == [*states, "done"]


def test_an_upload_in_steps_replays_whole(folder: Folder) -> None:
    """Start, two parts to the URL that was given, finish with what the parts gave, download."""

    def flow(ask: Callable[[Request, Response], Response]) -> list[str]:
        place = f"https://{HOST}/put/7?sig={VALUE}"
        start = ask(request("/v1/uploads", {"n": 2}), answer(b"", [("location", place)], 201))
        target = dict(start.headers)["location"].removeprefix(f"https://{HOST}")
        tags = []
        for number, tag in enumerate((OTHER, OTHER[::-1])):
            part = request(f"{target}&part={number}", b"x" * (number + 1), "PUT", ())
            put = ask(part, answer({"tok": tag}))
            tags.append(json.loads(put.body)["tok"])
        done = ask(request("/v1/finish", {"parts": tags}), answer({"access_token": VALUE[::-1]}))
        last = json.loads(done.body)["access_token"]
        got = ask(request(f"/v1/content/{last}", method="GET"), answer(b"whole", ()))
        return [put.body.decode() for put in (got,)]

    recorded: list[tuple[Request, Response]] = []

    def record(asked: Request, answered: Response) -> Response:
        recorded.append((asked, answered))
        return answered

    first = flow(record)
    folder.record(*recorded)
    ran = folder.redact()
    assert ran.exit_code == 0, ran.output
    assert not any(map(folder.holds, (VALUE, OTHER, OTHER[::-1], VALUE[::-1])))
    replayer = folder.replayer()
    assert flow(lambda request, _: asked(replayer, request)) == first


def test_ids_that_answers_gave_lead_where_they_did(folder: Folder) -> None:
    """The token of an id names a recording's file, which keeps its name."""
    create = request("/v1/batches", {"f": 1})
    made = answer({"id": VALUE, "tok": VALUE})
    poll = request(f"/v1/batches/{VALUE}", method="GET")
    (first,) = folder.record((create, made))
    document = from_exchange(Exchange(create, made, None))
    library = folder.replayer().sessions.own
    library.known_ids.learn(answer_ids(document), first.stem)
    (second,) = folder.record((poll, answer({"id": VALUE, "state": "done"})))
    stored = recording_format.loads(second.read_bytes())
    stored["request"] = stamp(stored["request"], library.known_ids)
    assert stored["request"]["ids"] == {VALUE: f"{first.stem}#0"}
    second.write_text(recording_format.dumps(stored))
    ran = folder.redact()
    assert ran.exit_code == 0, ran.output
    assert not folder.holds(VALUE)
    replayer = folder.replayer()
    value = json.loads(asked(replayer, create).body)["id"]
    got = asked(replayer, request(f"/v1/batches/{value}", method="GET"))
    assert json.loads(got.body)["state"] == "done"


# ------------------------------------------------------------------ refusals


def refused(folder: Folder, *args: str | Path, status: int = 4) -> str:
    before = folder.contents()
    ran = folder.redact(*args)
    assert ran.exit_code == status, ran.output
    assert folder.contents() == before
    assert VALUE not in ran.output
    assert "nothing was written" in ran.stderr
    return ran.stderr


def test_one_of_two_recordings_is_not_redacted_without_the_other(folder: Folder) -> None:
    login, use = folder.record(
        (request("/v1/login"), answer({"tok": VALUE})),
        (SENDS["URL path"](VALUE), answer({"say": "right"})),
    )
    told = refused(folder, login)
    assert "would stop answering" in told
    assert f"wiretape redact {folder.recordings}" in told
    # The request of the other alone is answered still: its client has the value of its own.
    assert "tok" not in refused(folder, login)
    assert folder.redact(login, use).exit_code == 0


def test_a_value_that_the_client_has_of_its_own_and_that_cannot_be_known_again_stays(
    folder: Folder,
) -> None:
    folder.record(
        (request("/v1/use", {"say": f"it is {WEAK}"}), answer({"say": "right"})),
        (request("/v1/login"), answer({"tok": WEAK})),
    )
    told = refused(folder)
    assert "v1-use" in told
    assert "would stop answering" in told


def test_a_weak_value_that_an_answer_gave_before_goes_from_both(folder: Folder) -> None:
    use = SENDS["JSON body"]
    folder.record(
        (request("/v1/login"), answer({"tok": WEAK})), (use(WEAK), answer({"say": "right"}))
    )
    assert folder.redact().exit_code == 0
    replayer = folder.replayer()
    value = json.loads(asked(replayer, request("/v1/login")).body)["tok"]
    assert json.loads(asked(replayer, use(value)).body) == {"say": "right"}


def test_two_requests_are_not_made_one(folder: Folder) -> None:
    use = SENDS["JSON body"]
    folder.record(
        (request("/v1/login", {"n": 1}), answer({"tok": WEAK})),
        (request("/v1/login", {"n": 2}), answer({"tok": WEAK[::-1]})),
        (use(WEAK), answer({"say": "one"})),
        (use(WEAK[::-1]), answer({"say": "two"})),
    )
    assert "could not be told from" in refused(folder)


def test_a_recording_in_which_a_secret_would_be_left_keeps_all_from_being_written(
    folder: Folder,
) -> None:
    pin = int("271828182845904523536028")
    folder.record(
        (request("/v1/login"), answer({"tok": str(pin)})),
        (request("/v1/use", {"a": 1}), answer({"n": pin})),
    )
    assert "a secret would be left in it" in refused(folder)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"<<<<<<< ours\n{}\n=======\n{}\n>>>>>>> theirs\n", "a git conflict"), (b"", "is empty")],
)
def test_a_file_that_cannot_be_read_keeps_all_from_being_written(
    folder: Folder, content: bytes, reason: str
) -> None:
    _, second = folder.record(
        (request("/v1/login"), answer({"tok": VALUE})),
        (SENDS["JSON body"](VALUE), answer({"say": "right"})),
    )
    second.write_bytes(content)
    told = refused(folder, status=1)
    assert reason in told
    assert second.name in told


def test_a_side_file_that_is_gone_keeps_all_from_being_written(folder: Folder) -> None:
    blob = answer(bytes(range(256)) * 80, [("content-type", "image/png")])
    folder.record(
        (request("/v1/login"), answer({"tok": VALUE})),
        (request("/v1/blob", method="GET"), blob),
    )
    (side,) = folder.recordings.rglob("*.bin")
    side.unlink()
    assert "side file" in refused(folder, status=1)


def test_a_file_that_changes_while_it_is_proved_is_not_written_over(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = folder.record((request("/v1/login"), answer({"tok": VALUE})))
    proved = conversation.ask_again

    def edited(*args: Any) -> Any:
        answers = proved(*args)
        path.write_text(path.read_text().replace("login", "logon"))
        return answers

    monkeypatch.setattr("wiretape.maintenance.redact_proof.ask_again", edited)
    ran = folder.redact()
    assert (ran.exit_code, "was changed meanwhile" in ran.stderr) == (4, True)
    assert "logon" in path.read_text()


def test_nor_does_wiretape_s_own_directory_hold_it_any_more(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = {"messages": [{"role": "user", "content": f"What is {VALUE}?"}]}
    gives = request("/v1/a", {"n": 1}), answer({"tok": VALUE})
    folder.record(gives, (request("/v1/chat/completions", prompt), answer()))
    home = Path(os.environ["WIRETAPE_HOME"])
    for cache, kept_of in product((home / "index", home / "ui"), (folder.recordings, home)):
        cache.mkdir(exist_ok=True)
        index_cache.database_path(cache, kept_of, "f" * 40).write_text(VALUE)
    monkeypatch.setattr(read_file, "MTIME_GRANULARITY_NS", 0)
    assert CliRunner().invoke(main, ["ls"]).exit_code == 0

    def holders() -> list[Path]:
        files = (path for path in home.rglob("*") if path.is_file())
        return sorted(path for path in files if VALUE.encode() in path.read_bytes())

    of_others = [index_cache.database_path(home / at, home, "f" * 40) for at in ("index", "ui")]
    assert len(holders()) == 5, "two databases of this folder, two of another, and the rows of ls"
    assert folder.redact().exit_code == 0
    assert holders() == of_others


def test_what_was_interrupted_is_finished_by_whoever_opens_the_folder(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.record(
        (request("/v1/login"), answer({"tok": VALUE})),
        (SENDS["JSON body"](VALUE), answer({"say": "right"})),
    )

    def killed(root: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(replace_set, "finish", killed)
        folder.redact()
    assert folder.holds(VALUE)
    assert asked(folder.replayer(), request("/v1/login")).status == 200
    assert not folder.holds(VALUE)
