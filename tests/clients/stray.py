"""aiohttp as it comes: without trust_env it knows of no proxy and looks for the host itself."""

import asyncio
import socket

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult


class NoNetwork(AbstractResolver):
    """Knows no host: what a machine without a network says."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        raise OSError(f"{host} is not known here")

    async def close(self) -> None:
        pass


async def main() -> None:
    connector = aiohttp.TCPConnector(resolver=NoNetwork())
    async with aiohttp.ClientSession(connector=connector) as session:
        try:
            async with session.get("https://api.together.xyz/v1/models") as answer:
                print(answer.status)
        except aiohttp.ClientConnectorError:
            print("no way there")


asyncio.run(main())
