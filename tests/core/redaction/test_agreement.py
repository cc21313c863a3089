"""Redaction, the gate and `wiretape scan` agree: what the gate or a scan finds in a file, redaction
replaces when it is recorded, and what redaction leaves none of them finds.
"""

import base64
import gzip
import json
import zlib
from collections.abc import Callable
from urllib.parse import quote

import brotli  # type: ignore[import-untyped]  # it ships no types
import pytest
import zstandard
from tests.support.cases import check_each
from tests.support.keys import KEYS
from tests.support.limits import part_of

from wiretape.core.model import Chunk, Exchange, Headers, Request, Response
from wiretape.core.recording import text as recording_text
from wiretape.core.recording.document import from_exchange
from wiretape.core.recording.text import SIDE_FILE_BYTES
from wiretape.core.redaction.gate import inspect, inspect_bytes
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules
from wiretape.scanning.scan import search

VALUE = "kV8w2QzT5rXn1LpB7cJ3dF9gH"
KEY = dict(KEYS)["together-key"]
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
redactor = Redactor(RedactionRules())


def exchange(
    sent: object = None, answered: object = None, *, kind: str = JSON, headers: Headers = ()
) -> Exchange:
    request, answer = (
        body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        for body in (sent, answered)
    )
    kinds = [JSON if body is None else kind for body in (sent, answered)]
    return Exchange(
        Request(
            *("POST", "https", "api.together.xyz", 443, "/v1/things"),
            headers=(("content-type", kinds[0]),),
            body=request,
        ),
        Response(200, (("content-type", kinds[1]), *headers), (Chunk(answer),)),
    )


def written(given: Exchange, *, redacted: bool) -> tuple[str, dict[str, bytes]]:
    """The text of a recording's file and its side files."""
    document = from_exchange(given)
    if redacted:
        document, _ = redactor.document(document, redactor.secrets(given.request))
    smaller, files = recording_text.externalise(document)
    return recording_text.dumps(smaller), files


def findings(text: str, files: dict[str, bytes]) -> tuple[int, int]:
    """How many leaks the gate finds, and how many secrets a scan."""
    leaks = [
        *inspect(text, redactor),
        *(leak for data in files.values() for leak in inspect_bytes(data, redactor)),
    ]
    hits = [*search("a.json", text.encode(), redactor)]
    hits += [hit for name, data in files.items() for hit in search(name, data, redactor)]
    return len(leaks), len(hits)


def check_replaced(given: Exchange, *secrets: str) -> None:
    before = findings(*written(given, redacted=False))
    assert all(before), f"found before redaction by gate and scan: {before}"
    text, files = written(given, redacted=True)
    assert findings(text, files) == (0, 0)
    for secret in secrets:
        assert secret not in text
        assert not any(secret.encode() in data for data in files.values())


def check_unchanged(given: Exchange) -> None:
    text, files = written(given, redacted=False)
    assert written(given, redacted=True) == (text, files)
    assert findings(text, files) == (0, 0)


# ------------------------------------------------------------------ what names itself in a text

URL = "https://files.example/a%20b.png"
TEXTS: dict[str, str] = {
    "SAS": f"{URL}?sv=2024-08-04&se=2026-12-01&sig={quote(VALUE + '+/=', safe='')}",
    "S3": f"{URL}?X-Amz-Credential={VALUE}&X-Amz-Expires=900&X-Amz-Signature={VALUE}",
    "GCS": f"{URL}?X-Goog-Date=20261129&X-Goog-Signature={VALUE}&x=y",
    "CloudFront": f"{URL}?Expires=1700000000&Signature={VALUE}~&Key-Pair-Id=K2",
    "OSS": f"{URL}?x-oss-signature={VALUE}",
    "key": f"{URL}?alt=sse&key={VALUE}",
    "access_token": f"{URL}?access_token={VALUE}",
    "api_key last": f"{URL}?b=c&api_key={VALUE}#top",
    "in a fragment": f"https://app.example/cb#state=1&access_token={VALUE}&expires_in=3600",
    "a code": f"https://app.example/cb?code={VALUE}&state=1",
    "user and password": f"https://bob:{VALUE}@files.example/a",
    "database": f"postgresql://app:s3cr3t-Pa55@db.internal:5432/x?{VALUE}"[: -len(VALUE) - 1],
    "a token as user": f"https://{VALUE}@git.example/a.git",
    "relative": f"/files/a?token={VALUE}",
    "escaped in a parameter": f"{URL}?next={quote(f'https://b.example/?token={VALUE}', safe='')}",
    "storage": (
        f"DefaultEndpointsProtocol=https;AccountName=x;AccountKey={VALUE}{VALUE}==;EndpointSuffix=y"
    ),
    "service bus": f"Endpoint=sb://x.example/;SharedAccessKeyName=Root;SharedAccessKey={VALUE}=",
    "SQL": f"Server=db;User Id=app;Password={VALUE};Encrypt=true",
    "form": f"access_token={VALUE}&token_type=bearer&scope=",
    "dotenv": f"MODEL=x\nSERVICE_API_KEY={VALUE}\nDEBUG=1",
    "YAML": f"auth:\n  client_secret: {VALUE}\n",
    "TOML": f'[auth]\npassword = "{VALUE}"\n',
    "JSON": json.dumps({"auth": {"apiKey": VALUE}}),
    "JSON twice": json.dumps(json.dumps({"auth": {"apiKey": VALUE}})),
    "header": f"curl -H 'Authorization: Bearer {VALUE}' https://a.example",
    "own header": f'curl -H "X-Api-Key: {VALUE}" https://a.example',
    "scheme": f"send Bearer {VALUE} with it",
    "option": f"run --api-key {VALUE} --verbose",
    "XML": f"<auth><password>{VALUE}</password></auth>",
    "pwd": f"Server=db;Uid=app;Pwd={VALUE};",
    "npmrc": f"//registry.example/:_authToken={VALUE}",
    "AWSAccessKeyId": f"{URL}?AWSAccessKeyId={VALUE}&Expires=1&Signature=abc",
    "Redis": f"redis://:{VALUE}@cache.example:6379/0",
    "Python": f'os.environ["SERVICE_TOKEN"] = "{VALUE}"',
    "Java": f'props.setProperty("api.key", "{VALUE}");',
    "a tuple": f"('x-api-key', '{VALUE}')",
    "XML's attributes": f'<add key="ApiKey" value="{VALUE}"/>',
    "a form field": f'<input type="hidden" name="csrf_token" value="{VALUE}">',
    "curl's user": f"curl -u admin:{VALUE} https://a.example",
    "netrc": f"machine a.example login u password {VALUE}",
    "docker's settings": json.dumps({"auths": {"r.example": {"auth": f"{VALUE}=="}}}),
    "a table": f"| name | value |\n| api_key | {VALUE} |",
    "Markdown": f"**API key:** `{VALUE}`",
    "a list of settings": f"API key: {VALUE}",
    "words": f"my api key is {VALUE} by the way",
    "a session in a path": f"https://a.example/x;jsessionid={VALUE}?a=1",
    "a shared access signature": f"{URL}?sharedaccesssignature={VALUE}&a=1",
    "licence": f"license_key: {VALUE}",
}
PLACES: dict[str, Callable[[str], Exchange]] = {
    "prose in a request": lambda text: exchange(
        {"messages": [{"role": "user", "content": f"See\n{text}"}]}
    ),
    "image_url": lambda text: exchange({"content": [{"image_url": {"url": text}}]}),
    "arguments": lambda text: exchange(
        None, {"tool_calls": [{"function": {"arguments": json.dumps({"a": text})}}]}
    ),
    "a JSON answer": lambda text: exchange(None, {"data": [{"u": text}]}),
    "prose in an answer": lambda text: exchange(None, {"text": f'It is "{text}" now.'}),
    "a text answer": lambda text: exchange(None, text.encode(), kind="text/plain"),
    "a form answer": lambda text: exchange(None, text.encode(), kind=FORM),
    "a binary answer": lambda text: exchange(
        None, b"\xff\0" + text.encode(), kind="application/octet-stream"
    ),
    "events": lambda text: exchange(
        None, b"data: " + json.dumps({"d": text}).encode() + b"\n\n", kind="text/event-stream"
    ),
    "a multipart body": lambda text: exchange(part(text.encode()), kind=MULTIPART),
    "a link": lambda text: exchange(headers=(("x-next", text.replace("\n", " ")),)),
}
MULTIPART = "multipart/form-data; boundary=b"


def part(data: bytes, headers: bytes = b"content-type: text/plain\r\n") -> bytes:
    head = b'--b\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n'
    return head + headers + b"\r\n" + data + b"\r\n--b--\r\n"


@pytest.mark.parametrize(("number", "exchange_with"), [*enumerate(PLACES.values())], ids=PLACES)
def test_a_secret_that_a_text_names_is_replaced(
    number: int, exchange_with: Callable[[str], Exchange]
) -> None:
    texts = dict(part_of(TEXTS.items(), number))
    check_each(lambda text: check_replaced(exchange_with(text), VALUE, "s3cr3t-Pa55"), texts)


@pytest.mark.parametrize(
    "text",
    [f"{URL}?sig={{}}&a=1", "api_key={}", 'token: "{}"', "(b'authorization', b'Bearer {}')"],
)
def test_a_named_value_may_begin_with_any_letter(text: str) -> None:
    """As a prefix of a quoted text begins (b"…")."""
    values = {first: first + VALUE[1:] for first in "abBdefnrtuxXz09_"}
    check_each(lambda value: check_replaced(exchange({"a": text.format(value)}), value), values)


# ------------------------------------------------------------------ what JSON names


@pytest.mark.parametrize(
    "body",
    [
        {"api_key": VALUE},
        {"model": "m", "auth": {"client_secret": {"value": VALUE, "expires_at": 1}}},
        {"value": "ek_" + VALUE, "expires_at": 1},
        {"env": {"GITHUB_TOKEN": VALUE}},
        {"env": [f"GITHUB_TOKEN={VALUE}"]},
        {"headers": {"Authorization": f"Bearer {VALUE}"}},
        {"headers": [["authorization", f"Bearer {VALUE}"]]},
        {"headers": [["x-api-key", VALUE], ["accept", "*/*"]]},
        {"rawHeaders": ["Accept", "*/*", "Authorization", f"Basic {VALUE}"]},
        {"headers": [{"name": "Authorization", "value": f"Bearer {VALUE}"}]},
        {"header": [{"key": "X-API-Key", "value": VALUE}]},
        {"tags": [{"Key": "db_password", "Value": VALUE}]},
        {"api_keys": [VALUE]},
        {"client_secret": {"name": "x", "value": VALUE}},
        {"cookies": [{"name": "session", "value": VALUE}]},
        {"secrets": [{"name": "DB", "value": VALUE}]},
        {"auth": VALUE, "n": 1},
        {"pass": VALUE},
        {"db": {"pwd": VALUE}},
        {"bearer": VALUE},
        {"jwt": VALUE},
        {"cookie": f"theme=dark; sid={VALUE}"},
        {"Set-Cookie": f"sid={VALUE}; Path=/; HttpOnly"},
        [["authorization", f"Bearer {VALUE}"]],
    ],
    ids=lambda body: json.dumps(body)[:40],
)
def test_a_secret_that_json_names_is_replaced(body: object) -> None:
    for given in (exchange(body), exchange(None, body), exchange(None, {"a": json.dumps(body)})):
        check_replaced(given, VALUE)


@pytest.mark.parametrize(
    "form",
    [
        "grant_type=authorization_code&code=short&redirect_uri=https%3A%2F%2Fa",
        "grant_type=client_credentials&client_assertion=abc",
        "grant_type=refresh_token&refresh_token=abc",
        f"code={VALUE}",
        f"code_verifier={VALUE}&a=b",
        f"client%5Fassertion={VALUE}",
    ],
)
def test_a_forms_credentials_are_replaced(form: str) -> None:
    given = exchange(form.encode(), kind=FORM)
    text, files = written(given, redacted=True)
    assert "REDACTED-" in text
    assert VALUE not in text
    assert findings(text, files) == (0, 0)


# ------------------------------------------------------------------ encodings in containers


def base64_later(data: bytes) -> bytes:
    return base64.b64encode(b"." + data)


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "percent": lambda data: "".join(f"%{octet:02X}" for octet in data).encode(),
    "JSON": lambda data: "".join(f"\\u{octet:04x}" for octet in data).encode(),
    "JSON twice": lambda data: "".join(f"\\\\u{octet:04x}" for octet in data).encode(),
    "base64": base64.b64encode,
    "base64 one later": base64_later,
    "base64url": lambda data: base64.urlsafe_b64encode(b"??>" + data).rstrip(b"="),
    "base64 in lines": lambda data: base64.encodebytes(b"." * 60 + data),
    "data URL": lambda data: b"data:text/plain;base64," + base64.b64encode(data),
    "hexadecimal": lambda data: data.hex().encode(),
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
    "zlib": zlib.compress,
    "UTF-16": lambda data: data.decode().encode("utf-16"),
    "UTF-16 little-endian": lambda data: data.decode().encode("utf-16-le"),
    "UTF-16 big-endian": lambda data: data.decode().encode("utf-16-be"),
    "UTF-32": lambda data: data.decode().encode("utf-32"),
    "UTF-32 little-endian": lambda data: data.decode().encode("utf-32-le"),
    "UTF-32 big-endian": lambda data: data.decode().encode("utf-32-be"),
    "gzip of UTF-32": lambda data: gzip.compress(data.decode().encode("utf-32-be")),
    "base64 of UTF-32": lambda data: base64.b64encode(data.decode().encode("utf-32-le")),
    "gzip of UTF-16": lambda data: gzip.compress(data.decode().encode("utf-16")),
    "base64 of gzip": lambda data: base64.b64encode(gzip.compress(data)),
    "base64 of UTF-16": lambda data: base64.b64encode(data.decode().encode("utf-16-le")),
    "gzip of base64": lambda data: gzip.compress(base64.b64encode(data)),
}


def text_of(data: bytes) -> str:
    """Bytes as a string can have them."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return base64.b64encode(data).decode()


CONTAINERS: dict[str, Callable[[bytes], Exchange]] = {
    "a JSON request": lambda data: exchange({"a": ["see", f"<{text_of(data)}>"]}),
    "a JSON answer": lambda data: exchange(None, {"a": f"<{text_of(data)}>"}),
    "JSON in JSON": lambda data: exchange({"a": json.dumps({"b": f"<{text_of(data)}>"})}),
    "a form": lambda data: exchange(f"a=b&c={quote(text_of(data))}".encode(), kind=FORM),
    "a text": lambda data: exchange(f"see <{text_of(data)}>".encode(), kind="text/plain"),
    "a binary request": lambda data: exchange(data, kind="application/octet-stream"),
    "a binary answer": lambda data: exchange(None, data, kind="application/octet-stream"),
    "bytes around it": lambda data: exchange(b"\xff\0\n\n" + data + b"\xff\xff", kind="image/png"),
    "a part": lambda data: exchange(part(data), kind=MULTIPART),
    "a part of a part": lambda data: exchange(
        part(part(data).replace(b"--b", b"--c"), b"content-type: multipart/mixed; boundary=c\r\n"),
        kind=MULTIPART,
    ),
    "a packed part": lambda data: exchange(part(gzip.compress(data)), kind=MULTIPART),
    "a part in brotli": lambda data: exchange(
        part(brotli.compress(data), b"Content-Encoding: br\r\nx-a: b\r\n"), kind=MULTIPART
    ),
    "an answer's part in brotli": lambda data: exchange(
        None,
        part(brotli.compress(data), b"content-encoding:br\r\n"),
        kind="multipart/mixed; boundary=b",
    ),
    "a related part": lambda data: exchange(
        part(data, b"content-encoding: x\r\n"), kind="multipart/related; boundary=b"
    ),
    "an answer's part": lambda data: exchange(None, part(data), kind="multipart/mixed; boundary=b"),
    "an event": lambda data: exchange(
        None,
        b"data: " + json.dumps({"a": text_of(data)}).encode() + b"\n\n",
        kind="text/event-stream",
    ),
    "a line": lambda data: exchange(
        None, json.dumps({"a": text_of(data)}).encode() + b"\n", kind="application/x-ndjson"
    ),
    "a header": lambda data: exchange(headers=(("x-a", text_of(data).replace("\n", "")),)),
    "a side file": lambda data: side_file(SIDE_FILE_BYTES, data),
}


def side_file(before: int, data: bytes) -> Exchange:
    return exchange(b"\xff" * before + b"\n\n" + data, kind="application/octet-stream")


SAYS_KEY = f"my key is {KEY}, see".encode()


@pytest.mark.parametrize(("number", "contain"), [*enumerate(CONTAINERS.values())], ids=CONTAINERS)
def test_every_encoding_is_searched_in_every_container(
    number: int, contain: Callable[[bytes], Exchange]
) -> None:
    encodings = dict(part_of(ENCODINGS.items(), number))
    check_each(lambda encode: check_replaced(contain(encode(SAYS_KEY)), KEY), encodings)


@pytest.mark.parametrize("name", ["plain", "base64", "gzip of UTF-16"])
def test_a_large_side_file_is_searched_to_its_end(name: str) -> None:
    check_replaced(side_file(300_000, ENCODINGS[name](SAYS_KEY)), KEY)


# ------------------------------------------------------------------ what is ordinary

_ORDINARY_NAME_TEXT = """
    pagination_token clientRequestToken idempotency_token upload_token nextForwardToken
    nextBackwardToken next_page_token PageToken continuationToken NextContinuationToken sync_token
    clientToken resume_token cursor_token deltaToken skipToken starting_token max_tokens token_id
    cache_key idempotency_key primary_key sort_key partitionKey keyId tokenizer secret_name
    secretArn passwordPolicy public_key
"""
ORDINARY_NAMES = _ORDINARY_NAME_TEXT.split()
UUID = "550e8400-e29b-41d4-a716-446655440000"


@pytest.mark.parametrize("value", [UUID, VALUE, f"AAMA-{VALUE}/{VALUE}=="])
def test_a_name_that_only_resembles_is_ordinary(value: str) -> None:
    def check_ordinary(name: str) -> None:
        check_unchanged(exchange({name: value}))
        check_unchanged(exchange(None, {"a": [{name: value}]}))

    check_each(check_ordinary, {name: name for name in ORDINARY_NAMES})


@pytest.mark.parametrize(
    "value",
    [
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-aB3dEf",
        "/run/secrets/db_password_9f8a7b6c5d4e",
        "/var/run/secrets/kubernetes.io/serviceaccount/token-9x8y7z",
        "./config/keys/service-account-7f3a9c.json",
        "secrets/prod/db-password-2026-11-29.txt",
        "C:\\ProgramData\\keys\\service_7f3a9c.pem",
        "https://vault.example/v1/secret/data/db-7f3a9c21",
        "vault:secret/data/prod/db#password_7f3a9c",
        "op://Private/openai-7f3a9c/credential",
        "projects/acme-4711/secrets/db-7f3a9c/versions/3",
        "${DATABASE_PASSWORD_2026_EU}",
        "{{resolve:secretsmanager:MySecret:SecretString:password}}",
        "<your-very-own-password-7f3a9c>",
        "@Microsoft.KeyVault(SecretUri=https://a.vault.example/secrets/b9c8)",
        "your-api-key-goes-here",
        "sha256:" + "0123456789abcdef" * 4,
        "correct horse battery staple",
        "must have at least 12 characters",
    ],
)
def test_a_reference_to_a_secret_is_ordinary(value: str) -> None:
    def check_ordinary(name: str) -> None:
        check_unchanged(exchange({"db": {name: value}}))
        check_unchanged(exchange(None, {"db": [{"name": name, "value": value}]}))

    names = ("password", "secret", "client_secret", "apiKey", "token")
    check_each(check_ordinary, {name: name for name in names})


@pytest.mark.parametrize(
    "text",
    [
        "GET https://api.example/items?key=title&token=next&page_token=" + VALUE,
        "see https://user:password@example.com and postgres://postgres:postgres@localhost/x",
        "http://localhost:8080/@scope/package and mailto:bob@example.com",
        "token = tokenizer.convert_ids_to_tokens(ids)[0]; key = get_signing_key(user.id2)",
        "api_key = os.environ['SERVICE_API_KEY2']  # export SERVICE_API_KEY=...",
        "const token = response.data.accessTokenForUser2.value;",
        "password: correct-horse or at least: a-long-passphrase",
        "The secret: nobody-knows-what-happened-in-1987 at all",
        "Bearer authentication2 and basic understanding-of-http/1.1 are what the key needs",
        "the token authorization_code_grant2 > key 12345678901234567",
        "max_tokens=4096, stop_token=endoftext, eos_token_id=128009",
        "| token | number of tokens |\n| api_key | string, see below 123 |\n| key | primary |",
        "the password is at least 12 characters; the token is b64-encoded-text2",
        "my api key is stored in os.environ2, the secret is in vault2.internal.example",
        "author: bob-smith-1987 passes author_id=550e8400-e29b-41d4-a716-446655440000",
        '<add key="PageSize" value="550e8400e29b41d4a716446655440000"/><input name="q" value="x">',
        "docker run -u 1000:1000 image && rsync -u host:/var/lib/data9 . && sort -u keys:all",
        "a=3Db and colours \x1b[32mgreen\x1b[0m, \\x41\\x42",
        "--api-key=YOUR_API_KEY_GOES_HERE --token=$GITHUB_TOKEN_2026",
    ],
)
def test_prose_and_code_about_credentials_is_ordinary(text: str) -> None:
    check_unchanged(exchange({"messages": [{"content": text}]}))
    check_unchanged(exchange(None, text.encode(), kind="text/plain"))


def test_a_parameter_of_a_url_may_be_letters_alone() -> None:
    value = "kVQzTXnLpBcJdFgHwRmSyZ"
    check_replaced(exchange({"a": f"{URL}?sig={value}"}), value)
    check_unchanged(exchange({"a": f"token = {value}"}))
