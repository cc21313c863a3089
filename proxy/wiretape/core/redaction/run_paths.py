"""Replace the folders of a run, which differ between machines and runs, by stand-ins.

An agent tells the model its folder. On another machine, in another home or in a new temporary
folder its requests differ and would miss their recording. So a run that knows CMD's folders stores
what they are for: "/home/ann/shop/src" as "{cwd}/src". A live request is changed the same way, and
in a replayed answer each stand-in becomes this run's own folder, so that a client that is asked to
read "{cwd}/src/main.py" finds it.

A recording names its stand-ins in `paths`; in one without `paths`, "{cwd}" is simply what was on
the wire.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from wiretape.core.model import Response
from wiretape.core.recording.document import Document
from wiretape.core.text import exact_json

from . import encodings, streams
from .credential_names import leaves
from .key_patterns import Pattern
from .known_values import Secrets
from .secret_shapes import Shapes
from .text_search import DEPTH
from .value_search import Search

_PLAIN: Final = re.compile(r"/[\w.+@%=,:~ -]+(?:/[\w.+@%=,:~ -]+)*", re.ASCII)
"""A path that needs no escape in JSON, in a URL or in a shell; others are left alone."""


def stand_in(name: str) -> str:
    """The stand-in of a folder: "cwd" gives "{cwd}"."""
    return f"{{{name}}}"


def slug(path: str) -> str:
    """The name that agents make of a path: "/home/ann/shop" gives "-home-ann-shop"."""
    return re.sub("[^A-Za-z0-9]", "-", path)


class RunPaths:
    """The folders of a run.

    >>> paths = RunPaths({"cwd": ["/home/ann/shop"], "home": ["/home/ann"]})
    >>> paths.restored(b"open {cwd}/main.py", ["cwd"])
    b'open /home/ann/shop/main.py'
    """

    def __init__(self, folders: Mapping[str, Iterable[str]]) -> None:
        """`folders` are the paths of each name, the one to be restored first."""
        self._texts = dict(_texts(folders))
        # The longest first: the folder that CMD works in is often below its home.
        ordered = sorted(self._texts.items(), key=lambda item: (-len(item[0]), item[0]))
        self._patterns = tuple(_pattern(text, name) for text, name in ordered)
        self._live: dict[str, bytes] = {}
        for text, name in self._texts.items():
            self._live.setdefault(name, text.encode())
        self._shapes = Shapes(self._patterns)

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts that are replaced, with their names: a recording's key depends on them."""
        return tuple(f"{name} {text}" for text, name in sorted(self._texts.items()))

    def __bool__(self) -> bool:
        return bool(self._texts)

    def request(self, request: Document) -> Document:
        """Put stand-ins into a document's `request` part, if it names the folders."""
        if not self or not self._applies(request):
            return request
        return self._search().request(request)

    def document(self, document: Document) -> Document:
        """Put stand-ins into a recording, and their names into `paths`, if it names the folders."""
        if not self or self._holds_stand_in(exact_json.dumps(document, parsed=True)):
            return document
        # As a live one is changed.
        request = self.request(document["request"])
        response = self._shown(document["response"])
        if request is document["request"] and response is document["response"]:
            return document
        changed = {**document, "request": request, "response": response}
        text = exact_json.dumps(changed, parsed=True)
        names = [name for name in sorted(self._live) if stand_in(name) in text]
        return {**changed, "paths": names} if names else document

    def _shown(self, response: Document) -> Document:
        if not self._may_be_named(response):
            return response
        search = self._search()
        # First what is divided among the chunks.
        return search.response(streams.redact(response, search, []))

    def _may_be_named(self, response: Document) -> bool:
        """Whether a response may name one of the folders, divided among its chunks or under the
        escapes that a search undoes; False is certain.
        """
        divided = streams.divided_texts(response)
        if divided is None:
            return True
        text = encodings.text_of_json(exact_json.dumps([response, divided], parsed=True))
        if text is None:
            text = "\n".join((*(each for _, _, each in leaves(response)), *divided))
        for _ in range(DEPTH + 1):
            # What is quoted-printable is for each text by itself to tell.
            if encodings.is_printable(text) or any(known in text for known in self._texts):
                return True
            unescaped = encodings.Unescaped(text)
            if not unescaped:
                return False
            text = unescaped.text
        return True

    def restored(self, data: bytes, names: Iterable[str]) -> bytes:
        """Replace the stand-ins of `names` in an answer's bytes by this run's folders.

        An unknown name stays: its recording is from a client with more folders.
        """
        for name in names:
            if name in self._live:
                data = data.replace(stand_in(name).encode(), self._live[name])
        return data

    def response(self, response: Response, names: Iterable[str]) -> Response:
        """Put this run's folders into a recorded answer, for the stand-ins of `names`."""
        if not any(name in self._live for name in names):
            return response
        chunks = tuple(
            replace(chunk, data=self.restored(chunk.data, names)) for chunk in response.chunks
        )
        return replace(response, chunks=chunks)

    def _search(self) -> Search:
        return Search(self._shapes, Secrets(()), [])

    def _applies(self, request: Document) -> bool:
        """Whether a request names one of the folders and does not hold a stand-in."""
        text = exact_json.dumps(request, parsed=True)
        named = text.replace("\\\\/", "/")  # JSON may escape the slash
        return any(known in named for known in self._texts) and not self._holds_stand_in(text)

    def _holds_stand_in(self, text: str) -> bool:
        return any(stand_in(name) in text for name in self._live)


def _texts(folders: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, str]]:
    """Each text that names a folder, with the name of its stand-in, each text once."""
    seen: set[str] = set()
    for name, paths in folders.items():
        for path in paths:
            path = path.rstrip("/")
            for text, its in ((path, name), (slug(path), f"{name}-slug")):
                if _PLAIN.fullmatch(path) and text not in seen:
                    seen.add(text)
                    yield text, its


def _pattern(text: str, name: str) -> Pattern:
    before, after = (r"(?<![\w.-])", r"(?![\w-]|\.\w)")
    return Pattern(name, re.compile(before + re.escape(text) + after), stand_in(name))


NO_PATHS: Final = RunPaths({})
"""For a run that does not know folders: nothing changes."""
