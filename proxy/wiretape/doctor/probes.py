"""The probes: for each client stack a program that fetches one URL as stock clients of it do.

A probe prints the body that it gets. The host ends in .invalid (RFC 2606), which no resolver knows:
a client that goes past the proxy reaches nobody. Programs are looked for where CMD would find them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wiretape.core.model import Chunk, Exchange, Headers, Request, Response
from wiretape.core.recording.document import from_exchange
from wiretape.core.recording.text import dumps

HOST: Final = "doctor.wiretape.invalid"

_TRUST_NODE: Final = "NODE_EXTRA_CA_CERTS"
_TRUST_OPENSSL: Final = "SSL_CERT_FILE"
_TRUST_REQUESTS: Final = "REQUESTS_CA_BUNDLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A client stack: the program it needs, the rest of its command line, the variable by which it
    trusts the proxy's certificate, and what to do where it does not get through.

    `{url}` stands for the URL and `{folder}` for the folder that the files of `sources` are in. A
    stack that is a library is `needs`: a command that succeeds where it is installed.
    """

    name: str
    program: str
    arguments: tuple[str, ...]
    trust: str
    advice: str
    needs: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The path that only this probe requests."""
        return "/" + re.sub("[^a-z0-9]+", "-", self.name.lower())

    @property
    def url(self) -> str:
        """The URL that only this probe requests."""
        return f"https://{HOST}{self.path}"

    def command(self, folder: Path) -> list[str]:
        """The command line; the sources are in `folder`."""
        spelled = (word.format(url=self.url, folder=folder) for word in self.arguments)
        return [self.program, *spelled]


def _python(name: str, code: str, advice: str, trust: str = _TRUST_OPENSSL) -> Probe:
    module = name.partition(" ")[0]
    arguments = ("-c", f"import sys; url = sys.argv[1]; {code}", "{url}")
    needs = ("-c", f"import {module}")
    return Probe(
        name=f"python {name}",
        program="python3",
        arguments=arguments,
        trust=trust,
        advice=advice,
        needs=needs,
    )


_BASE_URL: Final = "give it a base URL: $WIRETAPE_BASE_URL/HOST/…"
_NODE: Final = f"unset WIRETAPE_NO_PRELOAD and leave NODE_OPTIONS as it is, or {_BASE_URL}"
_JAVA: Final = f"unset WIRETAPE_NO_PRELOAD; a program that pins its trust: {_BASE_URL}"
_AIOHTTP: Final = (
    "import asyncio, aiohttp\n"
    "async def main():\n"
    "    async with aiohttp.ClientSession({session}) as session:\n"
    "        async with session.get(url) as answer: print(await answer.text())\n"
    "asyncio.run(main())"
)

PROBES: Final = (
    _python(
        "urllib", "import urllib.request as u; print(u.urlopen(url).read().decode())", _BASE_URL
    ),
    _python("httpx", "import httpx; print(httpx.get(url).text)", "let trust_env be true"),
    _python(
        "requests",
        "import requests; print(requests.get(url).text)",
        "let Session.trust_env be true",
        _TRUST_REQUESTS,
    ),
    _python(
        "aiohttp with trust_env=True",
        f"exec({_AIOHTTP.format(session='trust_env=True')!r})",
        _BASE_URL,
    ),
    _python(
        "aiohttp",
        f"exec({_AIOHTTP.format(session='')!r})",
        f"pass trust_env=True to ClientSession, or {_BASE_URL}",
    ),
    _python(
        "urllib3",
        "import urllib3; print(urllib3.request('GET', url).data.decode())",
        f"urllib3 alone reads no proxy variable: use ProxyManager, or {_BASE_URL}",
    ),
    Probe(
        name="node fetch",
        program="node",
        arguments=("-e", "fetch(process.argv[1]).then(r => r.text()).then(console.log)", "{url}"),
        trust=_TRUST_NODE,
        advice=_NODE,
    ),
    Probe(
        name="node https",
        program="node",
        arguments=(
            "-e",
            "require('https').get(process.argv[1], r => r.pipe(process.stdout))",
            "{url}",
        ),
        trust=_TRUST_NODE,
        advice=_NODE,
    ),
    Probe(
        name="curl",
        program="curl",
        arguments=("-sS", "{url}"),
        trust="CURL_CA_BUNDLE",
        advice="remove --noproxy and ~/.curlrc",
    ),
    Probe(
        name="wget",
        program="wget",
        arguments=("-nv", "--tries=1", "-O", "-", "{url}"),
        trust=_TRUST_OPENSSL,
        advice="a wget with GnuTLS wants --ca-certificate=$SSL_CERT_FILE",
    ),
    Probe(
        name="git",
        program="git",
        arguments=("ls-remote", "{url}"),
        trust="GIT_SSL_CAINFO",
        advice="remove http.proxy and http.sslCAInfo from git's configuration",
    ),
    Probe(
        name="java",
        program="java",
        arguments=("{folder}/Probe.java", "{url}"),
        trust="javax.net.ssl.trustStore",
        advice=_JAVA,
    ),
    Probe(
        name="go",
        program="go",
        arguments=("run", "{folder}/probe.go", "{url}"),
        trust=_TRUST_OPENSSL,
        advice="let http.Transport.Proxy be http.ProxyFromEnvironment",
    ),
)

SOURCES: Final = {
    "Probe.java": """\
import java.net.URI;
import java.net.http.*;
public class Probe {
  public static void main(String[] words) throws Exception {
    HttpRequest request = HttpRequest.newBuilder(URI.create(words[0])).build();
    HttpClient client = HttpClient.newHttpClient();
    System.out.println(client.send(request, HttpResponse.BodyHandlers.ofString()).body());
  }
}
""",
    "probe.go": """\
package main

import ("fmt"; "io"; "net/http"; "os")

func main() {
	answer, err := http.Get(os.Args[1])
	if err != nil { fmt.Fprintln(os.Stderr, err); os.Exit(1) }
	body, _ := io.ReadAll(answer.Body)
	fmt.Println(string(body))
}
""",
}
"""Programs of the languages that have no short form on a command line."""


def answer(probe: Probe) -> str:
    """The body that a probe has to print."""
    return f"the proxy answered {probe.name}"


def recordings() -> Iterator[tuple[str, str]]:
    """A recording for each probe: the name of its file, and its text."""
    headers: Headers = (("content-type", "text/plain"),)
    for number, probe in enumerate(PROBES):
        request = Request("GET", "https", HOST, 443, probe.path)
        response = Response(200, headers, (Chunk(answer(probe).encode()),))
        yield f"probe-{number}.json", dumps(from_exchange(Exchange(request, response)))
