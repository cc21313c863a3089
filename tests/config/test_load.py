import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from tests.support import paths
from tests.support.cases import check_each, in_one_test
from tests.support.config_file import faults, read

from wiretape.config.load import Config, load
from wiretape.config.packs import providers, rules
from wiretape.config.schema import File, check, finder
from wiretape.core.errors import ConfigError
from wiretape.core.model import Request
from wiretape.core.playback.pace import Pace
from wiretape.core.playback.policy import OnMiss
from wiretape.core.providers.registry import Provider
from wiretape.core.recording.document import Document, from_request
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules
from wiretape.core.text.located_yaml import parse

ROOT = paths.ROOT
SHIPPED = ROOT / "config.yaml"
DOCS = ROOT / "docs" / "configuration.md"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a config.yaml."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def facts(config: Config) -> dict[str, Any]:
    """All that a configuration says, in comparable form."""
    return {
        "recordings": config.recordings,
        "port": config.port,
        "base_url_port": config.base_url_port,
        "pace": config.pace,
        "other_hosts": config.other_hosts,
        "record_errors": config.record_errors,
        "repeat": config.repeat,
        "providers": config.providers.all,
        "headers": config.matcher.headers,
        "rules": [(rule.name, rule.text) for rule in config.matcher.rules],
        "removed": [rule.name for rule in config.removed_rules],
        "record_mode": config.record_mode,
        "record_drain": config.record_drain,
        "record_max_body": config.record_max_body,
        "host": config.host,
        "names": config.names,
        "on_miss": config.on_miss,
        "http2": config.http2,
        "stale_after": config.stale_after,
        "upstream_proxy": config.upstream_proxy,
        "redaction": config.redaction,
    }


def request(url: str = "https://api.together.xyz/v1/x", **more: Any) -> Document:
    return {"method": "POST", "url": url, "headers": {}, **more}


def provider(config: Config, name: str) -> Provider:
    (found,) = (one for one in config.providers.all if one.name == name)
    return found


def keys_of(model: type[BaseModel], start: str = "") -> Iterator[tuple[str, Any]]:
    """Every key that has a value of its own, spelled as in the docs, with its default."""
    for field_name, field in model.model_fields.items():
        name = start + (field.alias or field_name)
        inner = (get_args(field.annotation) or (field.annotation,))[-1]
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            yield name, "required" if field.is_required() else field.default
            continue
        if get_origin(field.annotation) is list:
            yield name, field.default
            name += "[]"
        elif get_origin(field.annotation) is dict:
            name += ".NAME"
        yield from keys_of(inner, name + ".")


PROVIDERS = providers()
KEYS = dict(keys_of(File))


# where it comes from


def test_what_a_pattern_of_the_users_own_finds_still_tells_requests_apart(tmp_path: Path) -> None:
    place = tmp_path / "config.yaml"
    place.write_text(r'redact: {patterns: [{name: ticket, regex: "T-[0-9a-f]{24}"}]}')
    config = load(place, {})
    redactor = Redactor(config.redaction)

    def key(text: str) -> str:
        body = json.dumps({"prompt": text}).encode()
        headers = (("content-type", "application/json"),)
        made = Request("POST", "https", "api.openai.com", 443, "/v1/x", headers=headers, body=body)
        return config.matcher.canonical(redactor.request(from_request(made))).key

    one, two = "T-" + "0a1b2c3d4e5f" * 2, "T-" + "f5e4d3c2b1a0" * 2
    assert key(one) != key(two)
    assert key(one) == key(one)
    keys = ["tgp_v1_" + text * 22 for text in ("Xq", "9k")]
    assert key(keys[0]) == key(keys[1])


def test_no_file_gives_the_defaults() -> None:
    config = load(None, {})
    assert config.source == "built-in defaults"
    assert facts(config) == facts(read(""))


def test_shipped_file_says_the_defaults_and_nothing_else() -> None:
    assert facts(load(SHIPPED, {})) == facts(read(""))
    file, wrong = check(parse(SHIPPED.read_bytes()))
    assert (file.match, file.redact, wrong) == (File().match, File().redact, [])


def test_defaults_are_these() -> None:
    config = read("")
    assert facts(config) == {
        "recordings": Path("recordings"),
        "port": 0,
        "base_url_port": None,
        "pace": Pace.parse("instant"),
        "other_hosts": None,
        "record_errors": False,
        "repeat": "last",
        "providers": PROVIDERS,
        "headers": ("anthropic-beta", "anthropic-version", "openai-beta"),
        "rules": [(rule.name, rule.text) for rule in rules(PROVIDERS)],
        "removed": [],
        "record_mode": "replace",
        "record_drain": False,
        "record_max_body": 64 * 1024 * 1024,
        "host": "127.0.0.1",
        "names": frozenset(),
        "on_miss": None,
        "http2": False,
        "stale_after": "90d",
        "upstream_proxy": None,
        "redaction": RedactionRules(),
    }


def test_config_yaml_of_the_working_directory_is_read() -> None:
    Path("config.yaml").write_text("pace: 2x")
    config = load(None, {})
    assert (config.source, config.pace) == ("config.yaml", Pace(2.0))


def test_named_file_goes_before_that_of_the_working_directory() -> None:
    Path("config.yaml").write_text("pace: 2x")
    config = read("pace: 3x")
    assert (config.source, config.pace) == ("c.yaml", Pace(3.0))


def test_named_file_that_is_missing_is_an_error() -> None:
    with pytest.raises(ConfigError) as caught:
        load(Path("absent.yaml"), {})
    assert str(caught.value) == (
        "absent.yaml: no such file; name one that is there, or leave it away for the defaults"
    )


@pytest.mark.parametrize("name", [None, "config.yaml"])
def test_folder_in_the_place_of_a_file_is_an_error(name: str | None) -> None:
    Path("config.yaml").mkdir()
    with pytest.raises(ConfigError, match=r"^config\.yaml: cannot be read: Is a directory$"):
        load(Path(name) if name else None, {})


def test_path_that_no_file_can_have_is_an_error() -> None:
    with pytest.raises(ConfigError, match="cannot be read: embedded null"):
        load(Path("a\0b"), {})


def test_another_programs_config_yaml_gets_a_hint() -> None:
    Path("config.yaml").write_text("baseURL: https://example.com\n")
    with pytest.raises(ConfigError) as caught:
        load(None, {})
    assert caught.value.faults[0].startswith("config.yaml:1: baseURL: unknown key, expected one of")
    assert caught.value.faults[1:] == (
        "config.yaml: if this is another program's file, name wiretape's with --config",
    )


def test_wiretapes_own_faulty_file_gets_no_hint() -> None:
    Path("config.yaml").write_text("pace: fast\n")
    with pytest.raises(ConfigError) as caught:
        load(None, {})
    assert len(caught.value.faults) == 1


# what it says


def test_every_setting_is_read() -> None:
    config = read(
        """
        version: 1
        recordings: tests/tapes
        listen: {port: 8080, base_url_port: 0, host: 0.0.0.0, names: [host.docker.internal]}
        pace: 0.5x
        other_hosts: tunnel
        record: {errors: true, mode: append, drain: true, max_body: 2}
        on_miss: {passthrough: [API.example.com, "*.example.org"]}
        http2: true
        stale_after: 6w
        upstream_proxy: http://me:pw@proxy.example.com:3128
        replay: {repeat: cycle}
        """
    )
    assert facts(config) == facts(read("")) | {
        "recordings": Path("tests/tapes"),
        "port": 8080,
        "base_url_port": 0,
        "pace": Pace(0.5),
        "other_hosts": "tunnel",
        "record_errors": True,
        "record_mode": "append",
        "record_drain": True,
        "record_max_body": 2 * 1024 * 1024,
        "host": "0.0.0.0",
        "names": frozenset({"host.docker.internal"}),
        "on_miss": OnMiss("passthrough", ("api.example.com", "*.example.org")),
        "http2": True,
        "stale_after": "6w",
        "upstream_proxy": "http://me:pw@proxy.example.com:3128",
        "repeat": "cycle",
    }


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "{}", "~"])
def test_empty_file_is_the_defaults(text: str) -> None:
    assert facts(read(text)) == facts(load(None, {}))


@pytest.mark.parametrize(
    "text",
    [
        *("version:", "recordings:", "pace: ~", "listen:", "listen: {port: }", "match:"),
        *("match: {rules: }", "redact: {json: null}", "providers:", "providers: {together: }"),
    ],
)
def test_key_without_a_value_has_its_default(text: str) -> None:
    assert facts(read(text)) == facts(read(""))


def test_new_name_adds_a_provider() -> None:
    config = read(
        """
        providers:
          house:
            hosts: [LLM.example.com, "localhost:8443", "*.models.example.com:9443", 127.0.0.1]
            key_env: [HOUSE_KEY]
            errors: anthropic
          plain: {hosts: [my_service]}
        """
    )
    assert config.providers.all == (
        *PROVIDERS,
        Provider(
            "house",
            ("llm.example.com", "localhost:8443", "*.models.example.com:9443", "127.0.0.1"),
            ("HOUSE_KEY",),
            "anthropic",
            ids=("container",),
        ),
        Provider("plain", ("my_service",), ids=provider(config, "openai").ids),
    )


def test_built_in_name_adds_hosts_to_its_provider() -> None:
    config = read(
        """
        providers:
          anthropic: {hosts: [gateway.example.com, api.anthropic.com], key_env: [GATEWAY_KEY]}
        """
    )
    assert provider(config, "anthropic") == Provider(
        "anthropic",
        ("api.anthropic.com", "gateway.example.com"),
        (*provider(read(""), "anthropic").key_env, "GATEWAY_KEY"),
        "anthropic",
        ids=("container",),
    )
    assert [one.name for one in config.providers.all] == [one.name for one in PROVIDERS]


def test_built_in_provider_can_get_another_error_shape() -> None:
    config = read("providers: {together: {errors: ollama}}")
    assert provider(config, "together").errors == "ollama"


def test_compared_headers_are_added_to_the_usual_ones_and_recorded() -> None:
    config = read("match: {headers: [X-Tenant]}")
    assert config.matcher.headers == (
        "anthropic-beta", "anthropic-version", "openai-beta", "x-tenant"
    )  # fmt: skip
    defaults = RedactionRules().keep_request_headers
    assert config.redaction.keep_request_headers == defaults | {"x-tenant"}


def test_rule_takes_out_what_it_ignores() -> None:
    matcher = read(
        """
        match:
          headers: [x-trace, x-tenant]
          rules:
            - name: run
              ignore: ["$.metadata.run", "$.messages[*].id"]
              ignore_query: [Trace]
              ignore_headers: [X-Trace]
        """
    ).matcher
    body = {"metadata": {"run": 1, "kept": 2}, "messages": [{"id": 3}, {"id": 4, "role": "user"}]}
    canonical = matcher.canonical(
        request(
            "https://api.together.xyz/v1/x?trace=5&n=6",
            headers={"x-trace": "7", "x-tenant": "8"},
            body=body,
        )
    )
    assert canonical.value == {
        "method": "POST",
        "provider": "together",
        "path": "/v1/x",
        "query": {"n": ["6"]},
        "headers": {"x-tenant": "8"},
        "body": {"json": {"metadata": {"kept": 2}, "messages": [{}, {"role": "user"}]}},
    }


@pytest.mark.parametrize(
    ("when", "applies"),
    [
        ("{}", True),
        ("{provider: together, method: post, path: /v1/*}", True),
        ("{provider: api.together.ai}", True),
        ("{provider: openai}", False),
        ("{provider: api.openai.com}", False),
        ("{method: GET}", False),
        ("{path: /v2/*}", False),
        ("{path: '*/x'}", True),
    ],
)
def test_rule_applies_where_it_says(when: str, applies: bool) -> None:
    config = read(f"match: {{rules: [{{name: r, when: {when}, ignore: [$.a]}}]}}")
    canonical = config.matcher.canonical(request(body={"a": 1}))
    assert canonical.value["body"] == {"json": {} if applies else {"a": 1}}


@pytest.mark.parametrize(
    ("name", "applies"),
    [
        ("azure", [True, True, True]),
        ("one.openai.azure.com", [True, False, False]),
        ("one.openai.azure.com:8443", [False, True, False]),
    ],
)
def test_rule_can_name_one_host_of_a_pattern_or_all(name: str, applies: list[bool]) -> None:
    config = read(f"match: {{rules: [{{name: r, when: {{provider: '{name}'}}, ignore: [$.a]}}]}}")
    bodies = [
        config.matcher.canonical(request(f"https://{host}/v1", body={"a": 1})).value["body"]
        for host in ("one.openai.azure.com", "one.openai.azure.com:8443", "two.openai.azure.com")
    ]
    assert bodies == [{"json": {} if one else {"a": 1}} for one in applies]


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("llm.example", "https://llm.example/v1"),
        ("LLM.example:8443", "https://llm.example:8443/v1"),
        ("localhost:8000", "http://localhost:8000/v1"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("[::1]:8000", "http://[::1]:8000/v1"),
        ("::1", "http://[::1]/v1"),
    ],
)
def test_rule_can_name_a_host_that_is_no_provider_s(name: str, url: str) -> None:
    config = read(f"match: {{rules: [{{name: r, when: {{provider: '{name}'}}, ignore: [$.a]}}]}}")
    bodies = [
        config.matcher.canonical(request(at, body={"a": 1})).value["body"]
        for at in (url, "https://other.example/v1")
    ]
    assert bodies == [{"json": {}}, {"json": {"a": 1}}]


def test_a_fault_names_a_provider_or_a_host() -> None:
    """A host may be one that only --host makes a provider's; a name has to be known."""
    (made,) = read("faults: [{name: f, when: {provider: llm.example}, status: 500}]").faults
    assert made.rule.provider == "llm.example"
    text = "faults: [{name: f, when: {provider: openia}, status: 500}]"
    with pytest.raises(ConfigError, match=r"faults\[0\].when.provider: unknown provider"):
        read(text)


def test_a_built_in_rule_can_be_taken_out_by_name() -> None:
    history = [{"tool_call_id": "call_1", "content": "x"}]

    def key(config: Config, spelled: str) -> str:
        body = {"messages": [{**history[0], "tool_call_id": spelled}]}
        return config.matcher.canonical(request(body=body)).key

    usual, without = read(""), read("match: {without: [together/tool-call-ids]}")
    assert key(usual, "call_1") == key(usual, "call_2")
    assert key(without, "call_1") != key(without, "call_2")
    assert [rule.name for rule in without.removed_rules] == ["together/tool-call-ids"]


def test_a_provider_of_ones_own_has_the_rules_of_the_one_it_speaks_like() -> None:
    config = read("providers: {house: {hosts: [llm.example.com], errors: anthropic}}")
    body = {"messages": [{"content": [{"type": "tool_result", "tool_use_id": "toolu_1"}]}]}
    made = config.matcher.canonical(request("https://llm.example.com/v1/messages", body=body))
    assert made.rules == ("house/tool-use-ids",)


def test_a_rule_says_where_it_stands() -> None:
    config = read("match:\n  rules:\n    - {name: a, ignore: [$.a]}")
    assert [rule.origin for rule in config.matcher.rules[:2]] == ["c.yaml:3", "pack common"]


@pytest.mark.parametrize(
    ("text", "environ", "proxy"),
    [
        ("http://proxy.example.com:3128", {}, "http://proxy.example.com:3128"),
        (
            "$P",
            {"P": "http://me:pw@proxy.example.com:3128/"},
            "http://me:pw@proxy.example.com:3128/",
        ),
        ("http://${U}:$W@p.example.com:1", {"U": "me", "W": "x"}, "http://me:x@p.example.com:1"),
        ("$P", {"P": " "}, None),
    ],
)
def test_the_upstream_proxy_may_be_in_the_environment(
    text: str, environ: dict[str, str], proxy: str | None
) -> None:
    config = read(f"upstream_proxy: {text}", environ)
    assert config.upstream_proxy == proxy
    unset = ("upstream_proxy: P is not set, so providers are reached without a proxy",)
    assert config.notices == (() if proxy else unset)


def test_a_variable_that_is_no_proxy_is_a_fault_without_its_value() -> None:
    Path("c.yaml").write_text("upstream_proxy: $P")
    with pytest.raises(ConfigError) as caught:
        load(Path("c.yaml"), {"P": "s3cret"})
    assert str(caught.value).startswith(
        "c.yaml:1: upstream_proxy: with P filled in it is not a proxy: expected http://host:port"
    )
    assert "s3cret" not in str(caught.value)


def test_a_configuration_does_not_show_the_proxys_password() -> None:
    assert "pw3" not in repr(read("upstream_proxy: http://me:pw3@a.example.com:1"))


def test_secret_parameters_are_not_compared() -> None:
    config = read("redact: {query: [Session]}")
    one, two = (
        config.matcher.canonical(request(f"https://api.together.xyz/v1?session={value}"))
        for value in ("1", "2")
    )
    assert one.key == two.key


# what is wrong with it


PACES = "expected instant, recorded, a factor such as 2x or a speed such as ttft=0.4,tps=60"


@pytest.mark.parametrize("word", ["yes", "Yes", "on", "ON", "true", "'yes'"])
def test_a_setting_is_true_in_the_words_of_yaml_1_1_too(word: str) -> None:
    config = read(f"http2: {word}\nrecord: {{errors: {word}, drain: {word}}}")
    assert (config.http2, config.record_errors, config.record_drain) == (True, True, True)


@pytest.mark.parametrize("word", ["no", "Off", "false"])
def test_a_setting_is_false_in_the_words_of_yaml_1_1_too(word: str) -> None:
    config = read(f"http2: {word}\nrecord: {{errors: {word}}}")
    assert (config.http2, config.record_errors) == (False, False)


@pytest.mark.parametrize("text", ["12:30", "on", "no", "2026-11-20", "1.10.2"])
def test_text_that_yaml_1_1_took_for_something_else_stays_text(text: str) -> None:
    assert read(f"recordings: {text}").recordings == Path(text)


def test_ruamel_is_imported_only_where_there_is_a_file() -> None:
    code = (
        "import sys; from pathlib import Path; from wiretape.config.load import load; "
        "load(Path(sys.argv[1]) if sys.argv[1:] else None, {}); print('ruamel.yaml' in sys.modules)"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code, *file], capture_output=True, text=True, check=True
        ).stdout
        for file in ([], [str(SHIPPED)])
    ]
    assert said == ["False\n", "True\n"]


def test_all_faults_are_told_at_once_in_order() -> None:
    text = "\n".join(
        [
            "pace: fast",
            "matching: {}",
            "listen: {port: 0x1F, base_url_port: '80'}",
            "other_hosts: off",
            "record:",
            "  errors: perhaps",
            "  errors: no",
            "redact:",
            "  patterns:",
            "    - {name: a, regex: '[a'}",
        ]
    )
    known = ", ".join(sorted(File.model_fields))
    assert faults(text) == [
        f"1: pace: {PACES}, got 'fast'",
        f'2: matching: unknown key, expected one of: {known} (did you mean "match"?)',
        "3: listen.port: YAML reads this as a number in an unusual form (octal, with"
        " underscores, infinite); write plain decimals, or put it in quotes if it is text",
        "3: listen.base_url_port: expected a whole number, got text",
        "4: other_hosts: expected tunnel or refuse, got 'off'",
        "6: record.errors: expected true or false, got text",
        "7: record.errors: is here twice, first in line 6; keep one",
        "10: redact.patterns[0].regex: not a regular expression: unterminated character set at"
        " position 0",
    ]


ASK_FOR_HOST = (
    "expected a host such as api.example.com, localhost:8443, [::1]:8443 or *.example.com,"
    " without scheme and path"
)
NOT_A_PATH = "expected a JSONPath below the body, such as $.messages[0].id or $..id"
A_NAME = "expected a name of lower-case letters, digits and hyphens"


@in_one_test(
    "text, fault",
    [
        ("[]", "1: expected keys with values, got a list"),
        ("\n\njust text", "3: expected keys with values, got text"),
        ("version: 2\nfuture: key", "1: version: unknown version 2, this wiretape knows 1"),
        ("version: '1'", "1: version: expected a whole number, got text"),
        (
            "version: true",
            "1: version: expected a whole number, got a boolean",
        ),
        ("stale_after: old", "1: stale_after: 'old': expected an age such as 90d, 12h or 2w"),
        ("stale_after: 90", "1: stale_after: expected text, got a number; put it in quotes"),
        ("version: 1.0", "1: version: expected a whole number, got a number with a fraction"),
        (
            "pace: 2",
            f"1: pace: {PACES}, got 2",
        ),
        (
            "pace: [2x]",
            f"1: pace: {PACES}, got a list",
        ),
        ("pace: 2000x", "1: pace: expected a factor from 0.01x to 1000x, got 2000x"),
        ("recordings: 5", "1: recordings: expected text, got a number; put it in quotes"),
        (
            "recordings: false",
            "1: recordings: expected text, got a boolean; put it in quotes",
        ),
        (
            "recordings: ~/tapes",
            "1: recordings: expected a folder, absolute or below the working directory (no ~)",
        ),
        (
            "recordings: ''",
            "1: recordings: expected a folder, absolute or below the working directory (no ~)",
        ),
        ("other_hosts: allow", "1: other_hosts: expected tunnel or refuse, got 'allow'"),
        ("listen: 8080", "1: listen: expected keys with values, got a number"),
        (
            "listen:\n  port: 65536",
            "2: listen.port: expected a port from 1 to 65535, or 0 for any free one, got 65536",
        ),
        (
            "listen:\n  base_url_port: -1",
            "2: listen.base_url_port: expected a port from 1 to 65535, or 0 for any free one,"
            " got -1",
        ),
        (
            "listen: {port: 80.0}",
            "1: listen.port: expected a whole number, got a number with a fraction",
        ),
        ("listen: {port: 80, base_url_port: 80}", "1: listen: expected two different ports"),
        (
            "listen: {prot: 80}",
            "1: listen.prot: unknown key, expected one of: base_url_port, host, names,"
            ' port (did you mean "port"?)',
        ),
        (
            "listen: {host: localhost}",
            "1: listen.host: expected an IP address of this machine: 127.0.0.1 or ::1 for itself"
            " alone, 0.0.0.0 for whoever reaches it",
        ),
        (
            "record: {max_body: 0}",
            "1: record.max_body: expected a number of MiB from 1 to 1024, got 0",
        ),
        ("replay: {repeat: first}", "1: replay.repeat: expected last, cycle or miss, got 'first'"),
        ("providers: [a]", "1: providers: expected keys with values, got a list"),
        ("providers: {My House: {hosts: [a]}}", f'1: providers."My House": {A_NAME}'),
        (
            "providers:\n  togeter:\n    key_env: [A]",
            '2: providers.togeter: a new provider needs hosts (did you mean "together"?)',
        ),
        (
            "providers:\n  mine:\n    hosts:\n      - a.example.com\n      - api.openai.com",
            "5: providers.mine.hosts[1]: api.openai.com belongs to the provider openai;"
            " a host has one provider",
        ),
        (
            "providers:\n  one: {hosts: [a]}\n  two: {hosts: [A]}",
            "3: providers.two.hosts[0]: a belongs to the provider one; a host has one provider",
        ),
        (
            "providers: {x: {hosts: [a], errors: Openai}}",
            "1: providers.x.errors: expected openai, anthropic, google, ollama or mcp,"
            " got 'Openai'",
        ),
        (
            "providers: {x: {hosts: a}}",
            "1: providers.x.hosts: expected a list, in brackets or with a dash before each item,"
            " got text",
        ),
        (
            "providers: {x: {hosts: [a, ]}, y: {hosts: [null]}}",
            "1: providers.y.hosts[0]: expected text, got nothing",
        ),
        (
            "providers: {x: {hosts: ['a:0']}}",
            "1: providers.x.hosts[0]: expected a port from 1 to 65535 after the host's colon",
        ),
        (
            "match: {rules: [{ignore: [$.a]}]}",
            "1: match.rules[0].name: missing, it has no default",
        ),
        (
            "match:\n  rules:\n    - name: r\n    - name: s\n      ignore: [$.a]",
            "3: match.rules[0]: says nothing: give one of on, ignore, only, ignore_query,"
            " ignore_headers, normalise, null_is_absent, record",
        ),
        (
            "match: {rules: [{name: r, ignore: [$.a], when: {metod: GET}}]}",
            "1: match.rules[0].when.metod: unknown key, expected one of: body, host, method,"
            " path, provider"
            ' (did you mean "method"?)',
        ),
        (
            "match: {rules: [{name: r, ignore: [$.a], when: {path: v1}}]}",
            "1: match.rules[0].when.path: expected a path such as /v1/*",
        ),
        (
            "match: {rules: [{name: r, ignore: [$.a], when: {method: 'G T'}}]}",
            "1: match.rules[0].when.method: expected a method such as POST",
        ),
        (
            "match: {rules: [{name: r, ignore: [$.a], when: {provider: togethr}}]}",
            "1: match.rules[0].when.provider: unknown provider, expected a host or one of:"
            f" {', '.join(one.name for one in PROVIDERS)}"
            ' (did you mean "together"?)',
        ),
        (
            "match: {rules: [{name: r, ignore: [a.b]}]}",
            f"1: match.rules[0].ignore[0]: {NOT_A_PATH}",
        ),
        (
            "match: {headers: [x-api-key]}",
            "1: match.headers[0]: x-api-key is secret and never compared",
        ),
        (
            "match:\n  rules:\n    - {name: a, ignore: [$.a]}\n    - {name: a, ignore: [$.b]}",
            "4: match.rules[1].name: a is the rule in line 3 too; a name is one rule's",
        ),
        (
            "match: {rules: [{name: openai/tool-call-ids, ignore: [$.a]}]}",
            "1: match.rules[0].name: openai/tool-call-ids is a built-in rule; take that out with"
            " match.without",
        ),
        (
            "match: {rules: [{name: a, only: [$.a], ignore: [$.b, $.a]}]}",
            "1: match.rules[0]: $.a is both in only and in ignore; keep one",
        ),
        (
            "match:\n  rules:\n    - {name: a, only: [$.a]}\n    - {name: b, only: [$.b]}",
            "4: match.rules[1].only: a (line 3) says only for the same requests; put both into one"
            " rule",
        ),
        (
            "match:\n  rules:\n    - {name: a, on: [path]}\n    - {name: b, on: [body]}",
            "4: match.rules[1].on: a (line 3) says on for the same requests; put both into one"
            " rule",
        ),
        (
            "match:\n  rules:\n    - {name: a, ignore: [$.a]}\n    - {name: b, only: [$.a]}",
            "4: match.rules[1].only: a (line 3) has $.a in ignore for the same requests; keep one",
        ),
        (
            "match: {without: [openai/tool-calls-ids]}",
            "1: match.without[0]: no built-in rule is called openai/tool-calls-ids"
            ' (did you mean "openai/tool-call-ids"?); wiretape rules lists them',
        ),
        (
            "match: {rules: [{name: r, on: [url]}]}",
            "1: match.rules[0].on[0]: expected method, provider, host, path, query, headers or"
            " body, got 'url'",
        ),
        (
            "match: {rules: [{name: r, ignore: [$.a], when: {body: x}}]}",
            f"1: match.rules[0].when.body: {NOT_A_PATH}",
        ),
        (
            'match: {rules: [{name: r, ignore: [$.a], when: {body: {"$.a": {}}}}]}',
            "1: match.rules[0].when.body: expected a value, a text with * for any text, or a list"
            " of them",
        ),
        (
            "match: {rules: [{name: r, normalise: [uuid]}]}",
            "1: match.rules[0].normalise[0]: expected one of uuids, dates, temporary-paths, ids, or"
            " {with: …, at: […]}, {regex: …, replace: …}, {round: 2, at: […]}, {sorted: […]},"
            " got 'uuid'",
        ),
        (
            "match: {rules: [{name: r, normalise: [{regex: 'a(', replace: b}]}]}",
            "1: match.rules[0].normalise[0]: not a regular expression: missing ), unterminated"
            " subpattern at position 1",
        ),
        (
            "match: {rules: [{name: r, normalise: [{round: x, at: [$.a]}]}]}",
            "1: match.rules[0].normalise[0]: round: expected a number of decimal places from 0 to"
            " 15",
        ),
        (
            "match: {rules: [{name: r, normalise: [{sorted: $.a}]}]}",
            "1: match.rules[0].normalise[0]: sorted: expected a list of JSONPaths, such as"
            " [$.metadata.id], got text",
        ),
        (
            "match: {rules: [{name: r, normalise: [{with: uuids, at: [a]}]}]}",
            f"1: match.rules[0].normalise[0]: {NOT_A_PATH}",
        ),
        (
            "match: {rules: [{name: r, null_is_absent: $.a}]}",
            "1: match.rules[0].null_is_absent: expected true, or JSONPaths in a list, such as"
            " [$.metadata.id], got text",
        ),
        (
            "providers: {vllm: {key_env: [A]}}",
            "1: providers.vllm: vllm has no hosts of its own: give yours, such as localhost:8000",
        ),
        (
            "on_miss: passthrough",
            "1: on_miss: expected fail, record, or passthrough with the hosts that may be reached:"
            " {passthrough: [api.example.com]}",
        ),
        (
            "on_miss: {passthrough: []}",
            "1: on_miss: passthrough: expected a list of hosts, such as [api.example.com]",
        ),
        (
            "record: {mode: overwrite}",
            "1: record.mode: expected replace, append or missing-only, got 'overwrite'",
        ),
        (
            "upstream_proxy: socks5://a:1",
            "1: upstream_proxy: expected http://host:port, with user:password@ before the host"
            " perhaps, or an environment variable that holds it, such as $CORPORATE_PROXY",
        ),
        ("redact:\n  json:\n    - $", f"3: redact.json[0]: {NOT_A_PATH}"),
        ("redact: {json: [{path: a}]}", f"1: redact.json[0].path: {NOT_A_PATH}"),
        ("redact: {json: [5]}", "1: redact.json[0]: expected keys with values, got a number"),
        (
            "redact: {json: [$.a, '$.b[']}",
            "1: redact.json[1]: not a JSONPath (RFC 9535): unexpected end of query at the end",
        ),
        (
            "redact: {json: ['$.b[?foo(@.x)]']}",
            "1: redact.json[0]: not a JSONPath (RFC 9535): function is not defined at position 5",
        ),
        ("redact: {json: [{path: $.a, name: A}]}", f"1: redact.json[0].name: {A_NAME}"),
        (
            "redact: {patterns: [{regex: zzz}]}",
            "1: redact.patterns[0].name: missing, it has no default",
        ),
        (
            "redact: {patterns: [{name: a, regex: '[[a]b'}]}",
            "1: redact.patterns[0].regex: not a regular expression to rely on:"
            " Possible nested set at position 1",
        ),
        (
            "redact: {patterns: [{name: a, regex: '(?P<n>a)(?P=secret)'}]}",
            "1: redact.patterns[0].regex: not a regular expression: unknown group name"
            " at position 12",
        ),
        (
            "redact:\n  headers: [content-type]",
            "2: redact.headers[0]: content-type cannot be secret:"
            " a body is not readable without it",
        ),
        (
            "redact: {keep_request_headers: [a, Authorization]}",
            "1: redact.keep_request_headers[1]: authorization is secret and never kept",
        ),
        (
            "redact: {drop_response_headers: [Content-Type]}",
            "1: redact.drop_response_headers[0]: content-type cannot be left out: a body is not"
            " readable without it",
        ),
        (
            "redact: {headers: [x-a], keep_response_headers: [X-A]}",
            "1: redact.keep_response_headers[0]: x-a is secret and never kept",
        ),
        (
            "redact: {values: [sk-live]}",
            "1: redact.values: unknown key, expected one of: dotenv, drop_response_headers, env,"
            " gate, headers, json, keep_request_headers, keep_response_headers, patterns,"
            " query, unsearched",
        ),
    ],
)
def test_fault_names_line_key_and_what_is_expected(text: str, fault: str) -> None:
    assert faults(text) == [fault]


@in_one_test(
    "host",
    [
        *("https://api.example.com", "api.example.com/v1", "a b", "", ".a", "a..b", "a.", "-a"),
        *("a-", "*", "a.*", "a:", "a:b", "user@a", "[::1", "[::g]", "::1", "é.example.com", "a\n"),
        "a." * 127 + "a",
    ],
)
def test_what_is_no_host_is_a_fault(host: str) -> None:
    assert faults(json.dumps({"providers": {"x": {"hosts": [host]}}})) == [
        f"1: providers.x.hosts[0]: {ASK_FOR_HOST}"
        + ("; what is asked of it by http counts as by https" if "://" in host else "")
    ]


@pytest.mark.parametrize("host", ["[::1]", "[::1]:8001", "[2001:DB8::1]:443", "[::ffff:1.2.3.4]"])
def test_an_ipv6_address_is_a_host_in_brackets(host: str) -> None:
    config = read(json.dumps({"providers": {"x": {"hosts": [host]}}}))
    address, _, port = host.removeprefix("[").partition("]")
    assert config.providers.find(address, int(port[1:] or 1)) is not None
    assert config.providers.find("::2", int(port[1:] or 1)) is None


@pytest.mark.parametrize("regex", ["", "x*", "a?", r"\b", "$", "(?=a)", "a|", r"(\w+-)*"])
def test_pattern_that_matches_nothing_is_a_fault(regex: str) -> None:
    text = json.dumps({"redact": {"patterns": [{"name": "a", "regex": regex}]}})
    assert faults(text) == [
        "1: redact.patterns[0].regex: matches the empty text: ask for at least one character"
    ]


@pytest.mark.parametrize("regex", [r"\w+", ".", "[a-z]{8,}", "[A-Za-z0-9-]{20,}", "[0-9a-f]{8}"])
def test_pattern_that_matches_placeholders_is_a_fault(regex: str) -> None:
    text = json.dumps({"redact": {"patterns": [{"name": "a", "regex": regex}]}})
    (fault,) = faults(text)
    assert fault.startswith(
        "1: redact.patterns[0].regex: matches wiretape's own placeholders, such"
    )


def test_pattern_that_takes_forever_on_long_texts_is_still_checked_at_once() -> None:
    assert read(r"redact: {patterns: [{name: a, regex: '(\w+)+!-secret'}]}").redaction.patterns[-1]


@pytest.mark.parametrize(
    "text",
    [
        "redact: {env: [s3cret-key]}",
        "redact: {headers: ['authorization: s3cret-key']}",
        "redact: {query: ['key=s3cret-key']}",
        "redact: {keep_request_headers: ['x: s3cret-key']}",
        "redact: {patterns: [{name: a, regex: 's3cret-key('}]}",
        "redact: {patterns: [{name: a, regex: '(?P<s3cret-key>'}]}",
        "redact: {patterns: [{name: s3cret_key, regex: zzz}]}",
        "redact: {json: [s3cret-key]}",
        "redact: {json: ['$[\"s3cret-key']}",
        'redact: {json: ["$[\'s3cret-key"]}',
        "providers: {x: {hosts: ['https://me:s3cret-key@a']}}",
        "providers: {x: {hosts: [a], key_env: [s3cret-key]}}",
        "match: {rules: [{name: r, ignore: [$.a], when: {provider: s3cret-key}}]}",
        "match: {rules: [{name: r, ignore: [$.a], when: {path: s3cret-key}}]}",
        "upstream_proxy: 'http://me:s3cret-key@'",
        "on_miss: {passthrough: ['https://me:s3cret-key@a']}",
        "match: {rules: [{name: r, normalise: [{regex: '(?P<s3cret-key>', replace: a}]}]}",
        "recordings: {s3cret-key}",
        "recordings: [s3cret-key",
        "recordings: *s3cret-key",
    ],
)
def test_fault_holds_nothing_that_could_be_secret(text: str) -> None:
    assert "s3cr" not in "".join(faults(text))


def test_broken_yaml_names_line_and_column() -> None:
    (fault,) = faults("pace: 2x\nlisten: port: 80\n")
    assert fault.startswith("2:13: not YAML: mapping values are not allowed")


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"pace: \xff", "1:1: not YAML: expected UTF-8, got the byte 0xff"),
        (b"#" * (1 << 20) + b"\n", "1:1: not YAML: longer than 1 MiB"),
        (b"pace: 2x\n---\n", "2:1: not YAML: a second document begins here, expected one"),
    ],
)
def test_text_that_is_no_configuration_is_a_fault(data: bytes, fault: str) -> None:
    assert faults(data) == [fault]


names = st.sampled_from([*re.findall(r"\w+", " ".join(KEYS)), "together", "x"])
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | names
    | st.dates()
    | st.sampled_from(["$.a", "a.example.com", "instant", "tunnel"])
)
documents = st.recursive(
    leaves,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(names, values, max_size=5),
    max_leaves=15,
)


@given(st.dictionaries(names, documents) | documents)
def test_any_document_is_read_or_refused_line_by_line(value: Any) -> None:
    data = yaml.safe_dump(value, allow_unicode=True).encode("utf-8", "surrogatepass")
    Path("any.yaml").write_bytes(data)
    try:
        told = [f"any.yaml:1: {load(Path('any.yaml'), {}).source}"]
    except ConfigError as error:
        told = list(error.faults)
    assert [line for line in told if not re.match(r"any\.yaml:[0-9]+:.*\S$", line)] == []


# JSONPaths


@pytest.mark.parametrize("body", ["text", '{"a": 1}', 5, 1.5, True, None, [], {}])
def test_path_finds_nothing_where_there_is_none(body: Any) -> None:
    assert list(finder("$.a")(body)) == []


def test_path_goes_as_deep_as_a_body_may_be() -> None:
    body: dict[str, Any] = {}
    for _ in range(200):
        body = {"a": body}
    assert len(list(finder("$..a")(body))) == 200


def test_filter_with_a_broken_expression_finds_nothing() -> None:
    assert list(finder("$.a[?match(@.b, '(')]")({"a": [{"b": "("}]})) == []


def test_jsonpath_is_imported_only_where_a_path_is_configured() -> None:
    code = (
        "import sys; from pathlib import Path; from wiretape.config.load import load; "
        "load(Path(sys.argv[1]), {}); print('jsonpath' in sys.modules)"
    )
    Path("path.yaml").write_text("redact: {json: [$..a]}")
    said = [
        subprocess.run(
            [sys.executable, "-c", code, file], capture_output=True, text=True, check=True
        ).stdout
        for file in (str(SHIPPED), "path.yaml")
    ]
    assert said == ["False\n", "True\n"]


# what is written about it


def documented() -> dict[str, tuple[str, str]]:
    """The default and the example of each key in the docs' table."""
    rows = re.findall(
        r"^\| `([^`]+)` \| [^|]+ \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", DOCS.read_text(), re.M
    )
    return {key: (default.strip("`"), example.strip("`")) for key, default, example in rows}


def test_docs_have_every_key_and_no_other() -> None:
    assert list(documented()) == list(KEYS)


def test_docs_have_the_default() -> None:
    def check_documented(key: str) -> None:
        default, text = KEYS[key], documented()[key][0]
        if default is None or default == "required":
            assert text == ("none" if default is None else "required")
        else:
            assert yaml.safe_load(text) == (str(default) if isinstance(default, Pace) else default)

    check_each(check_documented, {key: key for key in KEYS})


@pytest.mark.parametrize("key", [key for key in KEYS if "[]" not in key])
def test_docs_example_of_a_key_is_accepted(key: str) -> None:
    example = documented()[key][1]
    if example == "see below":
        return
    value: Any = yaml.safe_load(example)
    for step in reversed(key.split(".")):
        value = {"together" if step == "NAME" else step: value}
    assert facts(read(yaml.safe_dump(value)))


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", DOCS.read_text(), re.S))
def test_docs_example_is_accepted(block: str) -> None:
    assert facts(read(block))


def test_shipped_file_shows_every_key() -> None:
    text = SHIPPED.read_text()
    names = {key: key.replace("[]", "").rpartition(".")[2] for key in KEYS}
    assert not [key for key, name in names.items() if not re.search(rf"(?<![\w.]){name}:", text)]


def test_shipped_files_commented_example_is_accepted() -> None:
    text = SHIPPED.read_text().replace("  rules: []\n", "  rules:\n")
    text = re.sub(r"^  # (- name|  )", r"  \1", text, flags=re.M)
    one, two = (
        request(f"https://api.together.xyz/v1/x?trace={n}", body={"metadata": {"request_id": n}})
        for n in (1, 2)
    )
    matcher = read(text).matcher
    assert matcher.canonical(one).key == matcher.canonical(two).key


def test_shipped_file_is_short_and_names_togethers_hosts() -> None:
    text = SHIPPED.read_text()
    assert len(text.splitlines()) < 110
    assert tuple(yaml.safe_load(text)["providers"]["together"]["hosts"]) == next(
        one.hosts for one in PROVIDERS if one.name == "together"
    )
