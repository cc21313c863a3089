"""What a client's first bytes make of its connection: a tunnel, HTTP, or a refusal."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.limits import PATIENCE, examples
from tests.support.loops import BOTH_LOOPS
from tests.support.loops import event_loop_policy as event_loop_policy

from wiretape import descriptors
from wiretape.config.load import load
from wiretape.core.matching.matcher import Matcher
from wiretape.core.playback.pace import Pace
from wiretape.core.redaction.redactor import Redactor
from wiretape.engine.front import MAX_HEAD_BYTES, Front
from wiretape.engine.handler import Handler
from wiretape.engine.replayer import Replayer
from wiretape.library.library import Library
from wiretape.report.report import Report
from wiretape.sessions.sessions import Sessions
from wiretape.tls.authority import Authority

pytestmark = BOTH_LOOPS


class Client:
    """A front, and raw clients of it."""

    def __init__(self, front: Front, port: int) -> None:
        self.front = front
        self._port = port

    async def send(self, *pieces: bytes) -> bytes:
        """What is answered to these bytes, until the connection ends or all is quiet."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
            return head
        except asyncio.IncompleteReadError as error:
            return error.partial
        finally:
            writer.close()

    async def tunnel(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection whose CONNECT to a provider was answered."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(connect("api.openai.com:443"))
        await reader.readuntil(b"\r\n\r\n")
        return reader, writer

    async def status(self, *pieces: bytes) -> int:
        return int((await self.send(*pieces)).split()[1])


@pytest.fixture
async def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    monkeypatch.chdir(tmp_path)
    config, report = load(None, {}), Report("replay")
    sessions = Sessions(lambda name: Library(tmp_path / "r", config.matcher, session=name))
    redactor = Redactor(config.redaction)
    replayer = Replayer(sessions, Matcher(config.providers), redactor, config.providers, report)
    authority = Authority.load_or_create(tmp_path / "ca")
    front = Front(Handler(replayer, Pace()), authority, config.providers, report)
    listening = socket.create_server(("127.0.0.1", 0))
    await front.serve(listening)
    yield Client(front, listening.getsockname()[1])
    await front.close()


def connect(target: str, version: str = "1.1", *headers: str) -> bytes:
    lines = (f"CONNECT {target} HTTP/{version}", *headers, "", "")
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("api.openai.com:443", 200),
        ("API.OpenAI.com:443", 200),
        ("api.openai.com:8443", 200),
        ("x.openai.azure.com:443", 200),
        ("other.example:443", 403),
        ("[::1]:443", 403),
        ("127.0.0.1:5432", 403),
        ("api.openai.com", 400),
        ("api.openai.com:0", 400),
        ("api.openai.com:65536", 400),
        ("user:secret@api.openai.com:443", 400),
        ("api.openai.com:443 x", 400),
        ("", 400),
    ],
)
async def test_a_tunnel_leads_to_a_provider_or_nowhere(
    client: Client, target: str, status: int
) -> None:
    assert await client.status(connect(target)) == status
    assert await client.status(*(bytes([byte]) for byte in connect(target))) == status


async def test_a_refusal_names_the_host_and_is_counted(client: Client) -> None:
    await client.send(connect("other.example:443"))
    await client.send(connect("[2001:db8::1]:8443"))
    report = client.front.report
    assert set(report.other_hosts) == {"other.example", "[2001:db8::1]:8443"}
    assert any("other.example:443 is not a provider's host" in text for text in report.notices)
    assert not any("secret" in text for text in report.notices)


async def test_an_ipv6_host_that_is_added_is_tunnelled_to(client: Client) -> None:
    client.front.providers.add_host("[::1]:8443")
    assert await client.status(connect("[::1]:8443")) == 200
    assert await client.status(connect("[0:0:0:0:0:0:0:1]:8443")) == 200
    assert await client.status(connect("[::1]:8444")) == 403


async def test_a_head_that_never_ends_is_refused(client: Client) -> None:
    head = connect("api.openai.com:443")[:-2] + b"x: " + b"y" * MAX_HEAD_BYTES
    assert await client.status(head) == 431


async def test_a_session_that_cannot_be_is_refused(client: Client) -> None:
    head = connect("api.openai.com:443", "1.1", "Proxy-Authorization: Bearer x")
    assert await client.status(head) == 403


async def test_where_descriptors_are_low_each_kind_of_request_is_a_503(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descriptors, "are_low", lambda newest: True)
    base = b"GET /api.openai.com/v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    absolute = b"GET http://other.example/ HTTP/1.1\r\nHost: other.example\r\n\r\n"
    for request in (connect("api.openai.com:443"), base, absolute):
        answer = await client.send(request)
        assert answer.split()[1] == b"503"
        assert b"retry-after: 1" in answer.lower()
        assert b"connection: close" in answer.lower()
    assert client.front.report.exit_status == 4


async def test_a_client_that_shakes_hands_gets_a_miss(client: Client) -> None:
    reader, writer = await client.tunnel()
    context = ssl.create_default_context(cafile=client.front.authority.cert_path)
    await writer.start_tls(context, server_hostname="api.openai.com")
    writer.write(b"GET /v1/models HTTP/1.1\r\nHost: api.openai.com\r\n\r\n")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
    assert head.startswith(b"HTTP/1.1 400 ")
    writer.close()


async def test_an_upload_over_tls_is_larger_than_its_buffer(client: Client) -> None:
    reader, writer = await client.tunnel()
    context = ssl.create_default_context(cafile=client.front.authority.cert_path)
    await writer.start_tls(context, server_hostname="api.openai.com")
    writer.write(b"POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n")
    writer.write(bytes(300_000))
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
    assert head.startswith(b"HTTP/1.1 400 ")
    writer.close()


async def test_what_is_no_handshake_ends_the_connection(client: Client) -> None:
    reader, writer = await client.tunnel()
    writer.write(b"\x16" * 60_000)  # more than the buffer, in one read
    with suppress(ConnectionError):
        await asyncio.wait_for(reader.read(), 20)
    writer.close()
    assert await client.status(connect("not.a.provider:443")) == 403


async def test_a_handshake_may_come_in_one_packet_with_its_connect(client: Client) -> None:
    context = ssl.create_default_context(cafile=client.front.authority.cert_path)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="api.openai.com")
    reader, writer = await asyncio.open_connection("127.0.0.1", client._port)
    before, text = connect("api.openai.com:443"), b""
    with suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    writer.write(before + outgoing.read())
    await reader.readuntil(b"\r\n\r\n")
    is_sent = False
    while b"\r\n\r\n" not in text:
        incoming.write(await asyncio.wait_for(reader.read(1 << 16), PATIENCE))
        with suppress(ssl.SSLWantReadError):
            tls.do_handshake()
            if not is_sent:
                # More than TLS is read at once of.
                more = b"X-A: " + b"a" * 60_000 + b"\r\n\r\n"
                tls.write(b"GET /v1/models HTTP/1.1\r\nHost: a\r\n" + more)
                is_sent = True
            text += tls.read()
        writer.write(outgoing.read())
    assert text.startswith(b"HTTP/1.1 400 ")
    writer.close()


async def test_a_client_that_asks_for_http_in_a_tunnel_gets_a_miss(client: Client) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client._port)
    writer.write(connect("api.openai.com:8000"))
    await reader.readuntil(b"\r\n\r\n")
    for _ in range(2):
        writer.write(b"GET /v1/models HTTP/1.1\r\nHost: api.openai.com:8000\r\n\r\n")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        assert head.startswith(b"HTTP/1.1 400 ")
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        body = await reader.readexactly(length)
        assert b"no recording answers GET http://api.openai.com:8000/v1/models" in body
    assert client.front.report.tunnels == {"api.openai.com": True}
    writer.close()


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=40))
async def test_no_bytes_after_connect_open_anything(client: Client, data: bytes) -> None:
    before = set(client.front.tasks)
    answer = await client.send(b"CONNECT " + data.replace(b"\r\n\r\n", b"") + b"\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 403 "))
    assert client.front.tasks == before
