"""Write an edited answer into its file: whole or not at all, and never with a secret."""

from datetime import UTC, datetime

from wiretape.core.conversation.editing import EditablePart, editable_parts, edited
from wiretape.core.errors import FormatError, StoreError, WiretapeError, reason_of
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import Document, to_exchange
from wiretape.core.recording.llamastack import is_llamastack
from wiretape.core.redaction import gate
from wiretape.core.redaction.redactor import Redactor
from wiretape.files import replace
from wiretape.library.recording_file import load, read_bytes

from .names import NamedRecording


class SecretRefused(WiretapeError):
    """An edit would put a secret into a recording; `str()` says where."""


class RecordingEdit:
    """A recording that is being edited; FormatError or StoreError where it cannot be.

    edit = RecordingEdit(find(folder, "3f2a"))
    notes = edit.write({"text": "It rains."}, redactor)
    """

    def __init__(self, named: NamedRecording) -> None:
        self._named = named
        self._data = read_bytes(named.path)[0]
        load(named.path)
        self._document: Document = recording_format.loads(self._data)
        if is_llamastack(self._document):
            raise FormatError(
                "it is llama-stack's own recording: `wiretape import` makes one of wiretape's of"
                " it, which can be edited; `wiretape replay --set` changes this one for a run"
            )

    @property
    def parts(self) -> list[EditablePart]:
        """What can be edited; FormatError where there is nothing."""
        parts = editable_parts(self._document)
        if not parts:
            raise FormatError("its answer has no words and calls no tool: nothing can be edited")
        return parts

    def write(self, changes: dict[str, str], redactor: Redactor) -> tuple[str, ...]:
        """Write changed parts by their names; gives what does not fit the new words.

        Nothing is written where a change is refused, or the file has changed meanwhile.
        """
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        result = edited(self._document, changes, at)
        to_exchange(result.document, lambda name: b"")
        text = recording_format.dumps(result.document)
        leaks = gate.inspect(text, redactor, redactor.no_secrets)
        if leaks and redactor.rules.gate == "refuse":
            raise SecretRefused(f"{leaks[0].rule} would stand in {leaks[0].where or 'the file'}")
        if read_bytes(self._named.path)[0] != self._data:
            raise StoreError("the file was changed meanwhile; edit it again")
        try:
            replace(self._named.path, text.encode())
        except OSError as error:
            raise StoreError(f"cannot be written: {reason_of(error)}") from error
        return result.notes
