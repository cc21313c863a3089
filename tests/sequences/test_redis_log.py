from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.support.redis_server import RedisServer, redis_server

from wiretape.sequences.redis_log import RedisLog, shown
from wiretape.sequences.shared_log import SequencesLost, Tail


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest.fixture
async def logs(
    server: RedisServer, request: pytest.FixtureRequest
) -> AsyncIterator[list[RedisLog]]:
    opened = [RedisLog(server.url, request.node.name[:100]) for _ in range(2)]
    yield opened
    for log in opened:
        await log.close()


async def test_who_has_read_all_appends_and_others_read_first(logs: list[RedisLog]) -> None:
    one, two = logs
    assert await one.append("a", ["1", "2"]) == Tail(True)
    assert await two.append("a", ["3"]) == Tail(False, [], ["1", "2"])
    assert await two.append("a", ["3"]) == Tail(True)
    assert await one.append("a") == Tail(False, [], ["3"])
    assert await one.append("a") == Tail(True)


async def test_a_change_of_the_control_log_comes_before_any_other(logs: list[RedisLog]) -> None:
    one, two = logs
    await one.append("", ["start"])
    assert await two.append("a", ["1"]) == Tail(False, ["start"], [])
    assert await two.append("a", ["1"]) == Tail(True)


async def test_an_append_whose_answer_was_lost_is_known_again(logs: list[RedisLog]) -> None:
    one, two = logs
    await one.append("a", ["0"])
    real = one._append_script

    async def twice(*args: object, **kwargs: object) -> object:
        await real(*args, **kwargs)  # type: ignore[arg-type]  # as the script has them
        await two.append("a")
        await two.append("a", ["of two"])
        return await real(*args, **kwargs)  # type: ignore[arg-type]  # as the script has them

    one._append_script = twice  # type: ignore[assignment]  # what redis-py's retry does
    assert await one.append("a", ["of one"]) == Tail(True, [], ["of two"])


async def test_all_keys_are_of_one_slot_and_end_by_themselves(logs: list[RedisLog]) -> None:
    await logs[0].append("a", ["1"])
    client = logs[0]._client
    keys = [key async for key in client.scan_iter("wiretape:*end_by*")]
    assert len(keys) == 2
    assert len({key[key.index("{") : key.index("}")] for key in keys}) == 1
    ages = [await client.ttl(key) for key in keys]
    assert all(0 < age <= 7 * 24 * 3600 for age in ages)


async def test_state_that_is_gone_is_noticed_not_begun_anew(logs: list[RedisLog]) -> None:
    one, two = logs
    await one.append("a", ["1"])
    await one.append("a", ["2"])
    client = one._client
    (key,) = [key async for key in client.scan_iter("*noticed*log:a")]
    await client.lpop(key)  # a server that lost a part
    with pytest.raises(SequencesLost, match="has lost"):
        await one.append("a")
    await client.flushall()
    with pytest.raises(SequencesLost, match=r"has lost.*--run"):
        await one.append("b")
    await two.append("b", ["1"])  # begins a life of its own
    with pytest.raises(SequencesLost, match="has lost"):
        await one.append("b")


async def test_the_state_of_another_version_is_refused(logs: list[RedisLog]) -> None:
    log, other = logs
    await other._client.rpush(f"{log._prefix}control", "life 0123456789abcdef")
    with pytest.raises(SequencesLost, match=r"another version of wiretape.*--run"):
        await log.append("a", ["1"])
    assert await other._client.exists(log._key("a")) == 0


async def test_a_server_that_is_gone_is_named_without_its_password(server: RedisServer) -> None:
    log = RedisLog("redis://user:hunter2@127.0.0.1:1/0", "gone")
    with pytest.raises(SequencesLost, match=r"redis://127\.0\.0\.1:1/0") as caught:
        await log.append("a")
    assert "hunter2" not in str(caught.value)
    await log.close()


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("redis://:p@h:1/2", "redis://h:1/2"),
        ("rediss://u:p@h?password=p", "rediss://h"),
        ("unix://u:p@/tmp/s?db=1", "unix:///tmp/s"),
    ],
)
def test_a_url_is_shown_without_secrets(url: str, text: str) -> None:
    assert shown(url) == text


async def test_a_server_that_was_restarted_with_its_data_goes_on(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--appendonly", "yes", "--appendfsync", "always") as server:
        one, two = RedisLog(server.url, "kept"), RedisLog(server.url, "kept")
        await one.append("a", ["1"])
        server.stop()
        with pytest.raises(SequencesLost, match="does not answer"):
            await one.append("a", ["2"])
        server.start()
        assert await one.append("a", ["2"]) == Tail(True)
        assert await two.append("a") == Tail(False, [], ["1", "2"])
        await one.close()
        await two.close()
