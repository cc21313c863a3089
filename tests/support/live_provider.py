"""A provider of WebSockets that talks as realtime ones do."""

import asyncio
import json
import ssl
import threading
from pathlib import Path

import trustme
from tests.support.limits import PATIENCE
from websockets.asyncio.server import ServerConnection, serve

HOST = "api.openai.com"


class Provider:
    """A realtime provider on 127.0.0.1 that answers each message with two and a sound."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.ca_file = folder / "provider.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(HOST, "127.0.0.1").configure_cert(self._context)
        self._up, self._down = threading.Event(), asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self.port = 0
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))

    async def _run(self) -> None:
        async def talk(connection: ServerConnection) -> None:
            await connection.send(json.dumps({"type": "session.created"}))
            async for message in connection:
                said = json.loads(message)
                if said["type"] == "bye":
                    await connection.close(1000, "bye")
                    return
                await connection.send(json.dumps({"type": "delta", "text": said["text"].upper()}))
                await connection.send(b"\x00\x01sound")

        async with serve(talk, "127.0.0.1", 0, ssl=self._context) as server:
            self.port = server.sockets[0].getsockname()[1]
            self._up.set()
            await self._down.wait()

    def __enter__(self) -> "Provider":
        self._thread.start()
        assert self._up.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._down.set)
        self._thread.join(PATIENCE)
        self._loop.close()


def live(provider: Provider, folder: Path) -> list[str | Path]:
    route = f"{HOST}=https://127.0.0.1:{provider.port}"
    return ["-r", folder, "--upstream-ca", provider.ca_file, "--map", route]
