"""Shared logs as lists in Redis or Valkey, for replicas on several machines.

All keys of a run have the same hash tag, so that a cluster keeps them on one node:

    wiretape:{RUN}:control     its first entry is `life FORMAT RANDOM`: how entries are written, and
                               what stands for the life of the state
    wiretape:{RUN}:log:NAME

One script reads and appends. It compares the state's life, and the last entry that was read, with
what is there: a server that was restarted without its data, or evicted a key, is noticed.
"""

from collections.abc import Sequence
from secrets import token_hex
from typing import Any, Final, cast
from urllib.parse import urlsplit

from wiretape.core.errors import ConfigError

from .shared_log import SequencesLost, Tail

TTL_SECONDS: Final = 7 * 24 * 3600
"""How long Redis keeps what is not used."""

SCHEMES: Final = ("redis", "rediss", "unix")
_FORMAT: Final = 2
"""How the entries of `sessions/shared.py` are written: raise it where another version would read
them otherwise.
"""
_TIMEOUT: Final = 1.5
_CONNECTIONS: Final = 64
_MOST_ENTRIES: Final = 10_000
"""Entries that one call reads."""

_BEGIN: Final = """
if redis.call('LLEN', KEYS[1]) == 0 then redis.call('RPUSH', KEYS[1], ARGV[1]) end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return redis.call('LINDEX', KEYS[1], 0)
"""

# ARGV: ttl, most entries, life, then position and last entry of both logs, then the new entries.
_APPEND: Final = """
local function rest(key, position, last)
  local length = redis.call('LLEN', key)
  if length < position or (position > 0 and redis.call('LINDEX', key, position - 1) ~= last) then
    return nil
  end
  redis.call('EXPIRE', key, ARGV[1])
  if length == position then return {} end
  return redis.call('LRANGE', key, position, position + ARGV[2] - 1)
end
if redis.call('LINDEX', KEYS[1], 0) ~= ARGV[3] then return {-1} end
local control = rest(KEYS[1], tonumber(ARGV[4]), ARGV[5])
local tail = control
if KEYS[2] ~= KEYS[1] then tail = rest(KEYS[2], tonumber(ARGV[6]), ARGV[7]) end
if not control or not tail then return {-1} end
if #control > 0 or #tail > 0 then return {0, control, tail} end
if #ARGV > 7 then
  redis.call('RPUSH', KEYS[2], unpack(ARGV, 8))
  redis.call('EXPIRE', KEYS[2], ARGV[1])
end
return {1}
"""


class _Position:
    """How far a log was read, and its last entry read."""

    __slots__ = ("count", "last")

    def __init__(self) -> None:
        self.count = 0
        self.last = ""

    def advance(self, entries: Sequence[str]) -> None:
        if entries:
            self.count += len(entries)
            self.last = entries[-1]


class RedisLog:
    """The logs of the run `run` in the server of a URL; ConfigError without redis-py."""

    def __init__(self, url: str, run: str) -> None:
        try:
            import redis.asyncio
            import redis.exceptions
            from redis.asyncio.retry import Retry
            from redis.backoff import ConstantBackoff
        except ImportError:
            raise ConfigError(
                "sequences: redis-py is not installed; `pip install 'wiretape[fleet]'` installs it"
            ) from None
        self._errors = (redis.exceptions.RedisError, OSError)
        self._server = shown(url)
        # An entry names who wrote it: a call whose answer was lost may be made again.
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=_TIMEOUT,
            decode_responses=True,
            socket_timeout=_TIMEOUT,
            socket_connect_timeout=_TIMEOUT,
            retry=Retry(ConstantBackoff(0.05), 1),
        )
        self._client = redis.asyncio.Redis(connection_pool=pool)
        self._prefix = f"wiretape:{{{run}}}:"
        self._append_script = self._client.register_script(_APPEND)
        self._writer, self._written = token_hex(4), 0
        self._life: str | None = None
        self._positions: dict[str, _Position] = {"": _Position()}

    async def append(self, name: str, entries: Sequence[str] = ()) -> Tail:
        life = self._life or await self._begin()
        control = self._positions[""]
        position = self._positions.setdefault(name, _Position())
        self._written += 1
        entries = [f"{self._writer}.{self._written} {entry}" for entry in entries]
        control_before = control.count
        arguments: list[str | int] = [TTL_SECONDS, _MOST_ENTRIES, life, control.count, control.last]
        arguments += [position.count, position.last, *entries]
        kind, *tails = await self._call(
            self._append_script(keys=[self._prefix + "control", self._key(name)], args=arguments)
        )
        if kind < 0:
            raise self._lost()
        if kind == 1:
            position.advance(entries)
            return Tail(is_appended=True)
        # Another call may have read the same of the control log meanwhile.
        control_tail = tails[0][control.count - control_before :]
        control.advance(control_tail)
        if not name:
            return Tail(_is_own(control_tail, entries), _texts(control_tail))
        position.advance(tails[1])
        # An earlier try may have appended them, and its answer was lost.
        is_own = _is_own(tails[1], entries)
        others = tails[1][len(entries) :] if is_own else tails[1]
        return Tail(is_own, _texts(control_tail), _texts(others))

    async def _begin(self) -> str:
        key, beginning = self._prefix + "control", f"life {_FORMAT} "
        call = self._client.eval(_BEGIN, 1, key, beginning + token_hex(8), TTL_SECONDS)
        life = cast(str, await self._call(call))
        if not life.startswith(beginning):
            raise SequencesLost(
                f"{self._server} (sequences) has this run's state from another version of wiretape:"
                " all replicas of a run have the same one; begin a run of another name (--run)"
            )
        if self._life is None:
            self._life = life
            self._positions[""].advance([life])
        return self._life

    async def _call(self, call: Any) -> Any:
        try:
            return await call
        except self._errors as error:
            raise SequencesLost(
                f"{self._server} (sequences) does not answer: {type(error).__name__}; which take is"
                " next is not known, so nothing is answered until it does"
            ) from None

    def _lost(self) -> SequencesLost:
        return SequencesLost(
            f"{self._server} (sequences) has lost what this run's replicas share: it was restarted"
            " without its data, or had no memory left; end the replicas and begin a run of another"
            " name (--run)"
        )

    def _key(self, name: str) -> str:
        return f"{self._prefix}log:{name}" if name else self._prefix + "control"

    def forget(self, name: str) -> None:
        self._positions.pop(name, None)

    async def close(self) -> None:
        await self._client.aclose(close_connection_pool=True)


def _texts(entries: Sequence[str]) -> list[str]:
    return [entry.partition(" ")[2] for entry in entries]


def _is_own(tail: Sequence[str], entries: Sequence[str]) -> bool:
    return bool(entries) and list(tail[: len(entries)]) == list(entries)


def shown(url: str) -> str:
    """A URL of Redis without its credentials and parameters.

    >>> shown("redis://user:secret@cache.example.com:6379/2?password=x")
    'redis://cache.example.com:6379/2'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
