"""mitmproxy serves ports that were open before it."""

import asyncio
import socket
from pathlib import Path

from tests.support.embedded import Watch
from tests.support.hooks import hooks_with
from tests.support.limits import PATIENCE

from wiretape.ports import number_of, open_port
from wiretape.tls.authority import Authority
from wiretape_mitm.embedded import EmbeddedProxy


async def test_who_waits_in_the_queue_of_an_open_port_is_served(tmp_path: Path) -> None:
    authority = Authority.load_or_create(tmp_path)
    bundle = authority.upstream_bundle([], {})
    proxy = EmbeddedProxy(hooks_with(Watch()), authority, bundle, environ={})
    ports = [open_port(0, "127.0.0.1"), open_port(0, "127.0.0.1")]
    with socket.create_connection(("127.0.0.1", number_of(ports[0]))) as early:
        early.sendall(b"CONNECT api.openai.com:443 HTTP/1.1\r\n\r\n")
        await proxy.serve(ports)
        early.settimeout(PATIENCE)
        answer = await asyncio.to_thread(early.recv, 100)
    await proxy.stop()
    assert answer.startswith(b"HTTP/1.1 200"), answer
