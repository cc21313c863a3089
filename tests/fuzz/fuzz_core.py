"""Fuzz the core: what it parses, decodes and loads is given whatever bytes there are.

    python tests/fuzz/fuzz_core.py --seconds 120 --corpus .cache/fuzz

With atheris (`pip install atheris`; Linux and macOS) new inputs are found by what they reach, and
kept in the corpus, from which the next run goes on. Without it inputs are changed at random, and
only the seeds and what is in the corpus are begun with. What fails is written to the corpus'
`failed` folder, its name is printed, and the exit status is not 0. One file is checked again by

    python tests/fuzz/fuzz_core.py --again .cache/fuzz/failed/crash-…
"""

import argparse
import hashlib
import importlib
import importlib.util
import random
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

_HERE: Final = Path(__file__).parent
_LARGEST: Final = 4096


def main(arguments: Sequence[str]) -> int:
    """Fuzz for some seconds; 0 where nothing failed."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--corpus", type=Path, default=Path(".cache/fuzz"))
    options.add_argument("--seed", type=int, default=0, help="of the changes made at random")
    options.add_argument("--plain", action="store_true", help="do not use atheris")
    options.add_argument("--again", type=Path, help="check this file and nothing else")
    given = options.parse_args(arguments)
    sys.path.insert(0, str(_HERE))
    if given.again is not None:
        importlib.import_module("targets").check(given.again.read_bytes())
        return 0
    corpus: Path = given.corpus
    (corpus / "failed").mkdir(parents=True, exist_ok=True)
    for data in importlib.import_module("seeds").seeds():
        (corpus / _name(data)).write_bytes(data)
    if importlib.util.find_spec("atheris") is None or given.plain:
        check: Callable[[bytes], None] = importlib.import_module("targets").check
        return at_random(check, corpus, given.seconds, random.Random(given.seed))
    _atheris(corpus, given.seconds)
    return 0


def _name(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def _atheris(corpus: Path, seconds: float) -> None:
    """Run libFuzzer, which ends the process itself."""
    atheris: Any = importlib.import_module("atheris")
    for name in [name for name in sys.modules if name.partition(".")[0] in ("wiretape", "seeds")]:
        del sys.modules[name]  # they were loaded without the marks that it counts
    with atheris.instrument_imports(include=["wiretape"]):
        check = importlib.import_module("targets").check
    flags = [
        f"-max_total_time={max(1, round(seconds))}",
        f"-max_len={_LARGEST}",
        "-timeout=20",
        "-rss_limit_mb=2048",
        f"-artifact_prefix={corpus / 'failed'}/",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], check)
    atheris.Fuzz()


def at_random(
    check: Callable[[bytes], None], corpus: Path, seconds: float, chance: random.Random
) -> int:
    """Check what is in the corpus, then changes of it until the time is over."""
    inputs = [path.read_bytes() for path in sorted(corpus.iterdir()) if path.is_file()]
    end = time.monotonic() + seconds
    runs = 0
    while runs < len(inputs) or time.monotonic() < end:
        data = inputs[runs] if runs < len(inputs) else changed(chance.choice(inputs), chance)
        try:
            check(data)
        except Exception:  # whatever it is, it is what is looked for
            failed = corpus / "failed" / f"crash-{_name(data)}"
            failed.write_bytes(data)
            traceback.print_exc()
            print(f"{failed}: failed after {runs} runs", file=sys.stderr)
            return 1
        runs += 1
    print(f"{runs} runs, nothing failed", file=sys.stderr)
    return 0


_PIECES: Final = (
    *(b"\r", b"\n", b"\r\n\r\n", b"\n\n", b"data: ", b"event:", b"{", b"}", b"[", b'"', b"\\u"),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"1e999", b"9" * 30, b"null", b"true", b"../", b"\xff"),
)


def changed(data: bytes, chance: random.Random) -> bytes:
    """An input with a few bytes of it changed, taken out, repeated or put in; its choice stays."""
    body = bytearray(data[1:])
    for _ in range(chance.randint(1, 6)):
        at = chance.randint(0, len(body))
        to = min(len(body), at + chance.randint(1, 16))
        match chance.randrange(5):
            case 0:
                body[at:to] = chance.randbytes(to - at)
            case 1:
                del body[at:to]
            case 2:
                body[at:at] = body[at:to]
            case 3:
                body[at:at] = chance.choice(_PIECES)
            case _ if at < len(body):
                body[at] ^= 1 << chance.randrange(8)
    return data[:1] + bytes(body[:_LARGEST])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
