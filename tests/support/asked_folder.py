"""A folder of recordings that is asked in this process, over HTTP or a WebSocket, by the rules of a
config.yaml.
"""

import json
from pathlib import Path
from typing import Any, Final

import yaml

from wiretape.config.load import Config, load
from wiretape.core.matching.miss import Miss
from wiretape.core.model import Chunk, Close, Exchange, Message, Request, Response, WebSocket
from wiretape.core.playback.websocket import Mismatch, ReplayedConnection
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import from_exchange
from wiretape.core.redaction.redactor import Redactor
from wiretape.engine.answer import replayed_row
from wiretape.engine.replayer import Replayer
from wiretape.library.library import Library, LocalState
from wiretape.report.report import Report
from wiretape.sessions.sessions import Sessions

JSON: Final = (("content-type", "application/json"),)
UPGRADE: Final = (("upgrade", "websocket"), ("connection", "upgrade"))


class AskedFolder:
    """Asks what is recorded in a folder; `rules` are those of config.yaml, as it has them."""

    def __init__(self, folder: Path, host: str = "llm.example.org", path: str = "/v1/ask") -> None:
        self.folder = folder
        self.host = host
        self.path = path
        self.rules: list[Any] = []
        self.without: list[str] = []
        """The built-in rules that are taken out."""
        self.names: set[str] = set()
        self.report = Report("replay")

    def request(self, body: Any, **more: Any) -> Request:
        raw = b"" if body is None else json.dumps(body).encode()
        facts: dict[str, Any] = {"method": "POST", "headers": JSON, "body": raw, **more}
        return Request(facts.pop("method"), "https", self.host, 443, self.path, **facts)

    def put(self, exchange: Exchange) -> None:
        stored = from_exchange(exchange)
        path = self.folder / self.host / f"{len(list(self.folder.rglob('*.json')))}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(recording_format.dumps(stored), "utf-8")

    def config(self) -> Config:
        path = self.folder.parent / "config.yaml"
        entry = {"hosts": ["llm.example.org"], "errors": "openai"}
        file = {
            "providers": {"example": entry},
            "match": {"rules": self.rules, "without": self.without},
        }
        path.write_text(yaml.safe_dump(file), "utf-8")
        return load(path, {})

    def replayer(self) -> Replayer:
        config = self.config()
        redactor = Redactor(config.redaction)

        def opened(session: str | None) -> Library:
            state = LocalState(self.folder.parent)
            library = Library(self.folder, config.matcher, redactor.request, session, state)
            library.load()
            return library

        self.report = Report("replay", strict_ignored=True)
        return Replayer(Sessions(opened), config.matcher, redactor, config.providers, self.report)

    def ask(self, body: Any) -> str | Miss:
        """The answer's text, or the miss."""
        raise NotImplementedError

    def paste(self, body: Any) -> str | Miss:
        """Ask, paste the rule that is suggested, ask again, until there is an answer or no rule."""
        for _ in range(20):
            outcome = self.ask(body)
            if isinstance(outcome, str) or outcome.suggestion is None:
                return outcome
            (entry,) = yaml.safe_load(outcome.suggestion.yaml)
            assert entry["name"] not in self.names
            self.names.add(entry["name"])
            self.rules.append(entry)
        raise AssertionError("rules are suggested without end")


class HttpFolder(AskedFolder):
    def record(self, body: Any, answer: str) -> None:
        request = self.request(body)
        self.put(Exchange(request, Response(200, JSON, (Chunk(answer.encode()),)), None))

    def ask(self, body: Any) -> str | Miss:
        replayer = self.replayer()
        prepared = replayer.with_current_ids(replayer.prepare(self.request(body)))
        answer = replayer.answer(prepared)
        if answer is None:
            return replayer.misses.explain(prepared)
        self.report.add(replayed_row(prepared, answer))
        return answer.response.body.decode()


class SocketFolder(AskedFolder):
    """Each question is the first message of a connection."""

    def opening(self) -> Request:
        return self.request(None, method="GET", headers=UPGRADE)

    def message(self, body: Any) -> Message:
        return Message(json.dumps(body).encode(), 0.1, "client")

    def record(self, body: Any, answer: str) -> None:
        self.record_all([body], answer)

    def record_all(self, bodies: list[Any], answer: str = "") -> None:
        """Record one connection with these messages of the client, each of which is answered."""
        reply = Message(json.dumps({"answer": answer}).encode(), 0.2, "server")
        messages = tuple(message for body in bodies for message in (self.message(body), reply))
        socket = WebSocket(101, (), messages, streaming=True, close=Close("client", 1000))
        self.put(Exchange(self.opening(), socket, None))

    def ask(self, body: Any) -> str | Miss:
        replayer = self.replayer()
        prepared = replayer.with_current_ids(replayer.prepare(self.opening()))
        answer = replayer.answer(prepared)
        assert answer is not None
        lock = replayer.sockets.lock_step(prepared, answer)
        step = lock.feed(Message(json.dumps(body).encode(), None, "client"))
        ended = ReplayedConnection(
            recording=lock.recording,
            sent=0,
            received=1,
            first=None,
            duration=0,
            mismatch=step if isinstance(step, Mismatch) else None,
            stale=lock.stale,
            rules=lock.rules,
        )
        mismatch = ended.mismatch
        miss = replayer.sockets.explanation(prepared, mismatch)() if mismatch else None
        row = replayer.sockets.row(prepared, answer, ended, miss)
        self.report.add(row)
        if row.miss is not None:
            return row.miss
        assert not isinstance(step, Mismatch)
        return str(json.loads(step.due[0].message.data)["answer"])
