import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wiretape.config.packs import DummyKey, built_in, dummy_keys
from wiretape.core.errors import ConfigError
from wiretape.core.redaction.placeholder import is_strong
from wiretape.run.client_environment import changed, client_environment, export_lines

PROXY = "http://127.0.0.1:8899"
CA = Path("/state/mitmproxy-ca-cert.pem")
BUNDLE = Path("/state/bundle-0123456789abcdef.pem")


def environment(
    environ: dict[str, str],
    *,
    dummies: Iterable[DummyKey] = (),
    keep_keys: bool = False,
    hosts: tuple[str, ...] = (),
) -> dict[str, str]:
    return client_environment(
        environ,
        proxy_url=PROXY,
        ca_cert=CA,
        bundle=BUNDLE,
        dummy_keys=dummies,
        keep_keys=keep_keys,
        hosts=hosts,
    )


def test_empty_environment_gets_what_every_client_needs() -> None:
    assert environment({}) == {
        "HTTPS_PROXY": PROXY,
        "https_proxy": PROXY,
        "HTTP_PROXY": PROXY,
        "http_proxy": PROXY,
        "NO_PROXY": "localhost,127.0.0.1,::1",
        "no_proxy": "localhost,127.0.0.1,::1",
        "SSL_CERT_FILE": str(BUNDLE),
        "REQUESTS_CA_BUNDLE": str(BUNDLE),
        "CURL_CA_BUNDLE": str(BUNDLE),
        "GIT_SSL_CAINFO": str(BUNDLE),
        "PIP_CERT": str(BUNDLE),
        "AWS_CA_BUNDLE": str(BUNDLE),
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(BUNDLE),
        "CODEX_CA_CERTIFICATE": str(BUNDLE),
        "NODE_EXTRA_CA_CERTS": str(CA),
        "DENO_CERT": str(CA),
        "NODE_USE_ENV_PROXY": "1",
        "WIRETAPE": "1",
    }


def test_other_variables_stay() -> None:
    new = environment({"PATH": "/bin", "EMPTY": "", "NODE_OPTIONS": "--use-openssl-ca"})
    assert (new["PATH"], new["EMPTY"]) == ("/bin", "")
    assert new["NODE_OPTIONS"] == "--use-openssl-ca"


def test_given_environment_is_not_changed() -> None:
    environ = {"SSL_CERT_DIR": "/certs", "NO_PROXY": "*"}
    environment(environ)
    assert environ == {"SSL_CERT_DIR": "/certs", "NO_PROXY": "*"}


@pytest.mark.parametrize(
    "name",
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"],
)
def test_proxy_of_the_users_own_is_replaced(name: str) -> None:
    assert environment({name: "http://proxy.example:3128"})[name] == PROXY


def test_all_proxy_is_not_set_where_it_was_not() -> None:
    new = environment({"all_proxy": "socks5://proxy.example", "ALL_PROXY": ""})
    assert (new["all_proxy"], new["ALL_PROXY"]) == (PROXY, "")
    assert "ALL_PROXY" not in environment({})


@pytest.mark.parametrize(
    ("environ", "kept"),
    [
        ({"NO_PROXY": "intranet.example,10.0.0.0/8"}, "intranet.example,10.0.0.0/8,"),
        ({"NO_PROXY": "a.example", "no_proxy": "b.example,a.example"}, "a.example,b.example,"),
        ({"no_proxy": " a.example , b.example\tc.example,"}, "a.example,b.example,c.example,"),
        ({"NO_PROXY": "*"}, ""),
        ({"NO_PROXY": "*,a.example"}, "a.example,"),
        ({"NO_PROXY": ""}, ""),
    ],
)
def test_no_proxy_keeps_the_users_entries_but_not_a_star(
    environ: dict[str, str], kept: str
) -> None:
    new = environment(environ)
    assert new["NO_PROXY"] == new["no_proxy"] == kept + "localhost,127.0.0.1,::1"


def test_no_proxy_does_not_repeat_localhost() -> None:
    assert environment({"NO_PROXY": "127.0.0.1,a.example"})["NO_PROXY"] == (
        "127.0.0.1,a.example,localhost,::1"
    )


@pytest.mark.parametrize(
    ("entry", "host"),
    [
        ("api.openai.com", "api.openai.com"),
        ("API.OpenAI.com", "api.openai.com"),
        ("openai.com", "api.openai.com"),
        (".openai.com", "api.openai.com"),
        ("*.openai.com", "api.openai.com"),
        (".com", "api.openai.com"),
        ("api.openai.com:443", "api.openai.com"),
        ("llm.example", "llm.example:8443"),
        ("mine.openai.azure.com", "*.openai.azure.com"),
        (".azure.com", "*.openai.azure.com"),
    ],
)
def test_no_proxy_entry_that_hides_an_intercepted_host_goes(entry: str, host: str) -> None:
    new = environment({"NO_PROXY": f"{entry},kept.example"}, hosts=("api.x.ai", host))
    assert new["NO_PROXY"] == "kept.example,localhost,127.0.0.1,::1"


@pytest.mark.parametrize("entry", ["penai.com", "api.openai.com.example", "sub.api.openai.com"])
def test_no_proxy_entry_that_only_resembles_an_intercepted_host_stays(entry: str) -> None:
    new = environment({"NO_PROXY": entry}, hosts=("api.openai.com",))
    assert new["NO_PROXY"] == f"{entry},localhost,127.0.0.1,::1"


def test_folder_of_certificates_is_removed() -> None:
    assert "SSL_CERT_DIR" not in environment({"SSL_CERT_DIR": "/etc/ssl/certs"})


@pytest.mark.parametrize(
    "name",
    [
        "NIX_SSL_CERT_FILE",
        "HTTPLIB2_CA_CERTS",
        "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
        "CARGO_HTTP_CAINFO",
    ],
)
def test_rarer_certificate_variable_gets_the_bundle_only_where_it_was_set(name: str) -> None:
    assert environment({name: "/etc/corp.pem"})[name] == str(BUNDLE)
    assert name not in environment({})


@pytest.mark.parametrize("name", ["NODE_EXTRA_CA_CERTS", "DENO_CERT"])
def test_extra_certificate_of_the_users_own_still_counts_by_the_bundle(name: str) -> None:
    assert environment({name: "/etc/corp.pem"})[name] == str(BUNDLE)


@pytest.mark.parametrize("name", ["NODE_EXTRA_CA_CERTS", "DENO_CERT"])
@pytest.mark.parametrize("value", ["", str(CA)])
def test_extra_certificate_stays_ours_alone_in_a_nested_run(name: str, value: str) -> None:
    assert environment({name: value})[name] == str(CA)


ALL = dummy_keys(built_in().key_names)


@pytest.mark.parametrize("dummy", ALL, ids=lambda dummy: dummy.name)
def test_a_key_of_a_provider_never_reaches_cmd(dummy: DummyKey) -> None:
    real = "real-" + "Xq7" * 9
    new = environment({dummy.name: real}, dummies=ALL)
    assert real not in new.values()
    assert new[dummy.name] == dummy.value
    assert environment({dummy.name: real}, dummies=ALL, keep_keys=True)[dummy.name] == real


@pytest.mark.parametrize("dummy", ALL, ids=lambda dummy: dummy.name)
def test_a_dummy_is_replaced_in_requests_as_the_real_key_was(dummy: DummyKey) -> None:
    assert is_strong(dummy.value)
    assert "wiretape" in dummy.value.lower() or set(dummy.value) <= set("0123456789abcdef")


def test_sdks_that_refuse_to_start_without_a_key_have_one() -> None:
    new = environment({"OPENAI_API_KEY": ""}, dummies=ALL)
    shapes = {
        "OPENAI_API_KEY": r"sk-proj-.{10,}",
        "ANTHROPIC_API_KEY": r"sk-ant-api03-.{10,}",
        "GOOGLE_API_KEY": r"AIza[\w-]{35}",
        "TOGETHER_API_KEY": r"tgp_v1_.{10,}",
        "AWS_ACCESS_KEY_ID": r"AKIA[A-Z0-9]{16}",
        "AWS_SECRET_ACCESS_KEY": r"[A-Za-z0-9+/]{40}",
        "AWS_SESSION_TOKEN": r".{16,}",
        "AZURE_OPENAI_API_KEY": r"[0-9a-f]{32}",
        "MISTRAL_API_KEY": r"[A-Za-z0-9]{32}",
        "COHERE_API_KEY": r"[A-Za-z0-9]{40}",
    }
    assert {name for name, shape in shapes.items() if not re.fullmatch(shape, new[name])} == set()
    # Another way to sign in is not offered to who has none.
    assert "AWS_BEARER_TOKEN_BEDROCK" not in new
    assert "ANTHROPIC_AUTH_TOKEN" not in new


def test_a_dummy_never_stands_beside_keys_that_are_kept() -> None:
    new = environment({"AWS_ACCESS_KEY_ID": "mine"}, dummies=ALL, keep_keys=True)
    assert new["AWS_ACCESS_KEY_ID"] == "mine"
    assert "AWS_SESSION_TOKEN" not in new
    assert new["OPENAI_API_KEY"].startswith("sk-proj-wiretape")


def test_a_key_whose_shape_nobody_knows_is_replaced_too() -> None:
    new = environment({"HOUSE_KEY": "real"}, dummies=dummy_keys(["HOUSE_KEY", "OTHER_KEY"]))
    assert (new["HOUSE_KEY"], new["OTHER_KEY"]) == ("wiretape-replay-no-key",) * 2


@pytest.mark.parametrize("name", ["", "A B", "A=B", "1A", "KEY;id", "A\n", "É"])
def test_key_name_that_no_shell_could_set_is_refused(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        environment({}, dummies=dummy_keys([name]))
    assert str(caught.value) == (
        f"environment variable {name!r}: expected a name of letters, digits and underscores"
    )


def test_nested_run_changes_only_where_the_proxy_is() -> None:
    outer = environment({"PATH": "/bin", "NO_PROXY": "a.example"})
    inner = client_environment(outer, proxy_url="http://127.0.0.1:1", ca_cert=CA, bundle=BUNDLE)
    assert changed(outer, inner) == dict.fromkeys(
        ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"], "http://127.0.0.1:1"
    )


def test_changes_are_the_new_the_different_and_the_removed() -> None:
    before = {"SAME": "1", "OTHER": "1", "GONE": "1", "EMPTIED": "1"}
    after = {"SAME": "1", "OTHER": "2", "NEW": "3", "EMPTIED": ""}
    assert changed(before, after) == {"OTHER": "2", "NEW": "3", "EMPTIED": "", "GONE": None}


def test_export_lines_for_sh_are_sorted_and_quoted() -> None:
    assert export_lines({"B": "it's $HOME", "A": "plain", "C": None}) == (
        "export A=plain\nexport B='it'\"'\"'s $HOME'\nunset C\n"
    )


def test_export_lines_for_fish_escape_quotes_and_backslashes() -> None:
    assert export_lines({"A": r"it's \n $HOME", "B": None}, "fish") == (
        "set -gx A 'it\\'s \\\\n $HOME'\nset -e B\n"
    )


def test_export_lines_for_powershell_double_every_kind_of_single_quote() -> None:
    value = "a'b\u2018c\u2019d\u201ae\u201bf $env:X `n"
    assert export_lines({"A": value, "B": None}, "powershell") == (
        "$env:A = 'a''b\u2018\u2018c\u2019\u2019d\u201a\u201ae\u201b\u201bf $env:X `n'\n"
        "Remove-Item Env:B -ErrorAction SilentlyContinue\n"
    )


def test_nothing_changed_exports_nothing() -> None:
    assert export_lines({}) == ""


def test_unknown_shell_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        export_lines({"A": "1"}, "csh")
    assert str(caught.value) == "shell 'csh': expected one of sh, fish, powershell"


@pytest.mark.parametrize("shell", ["sh", "fish", "powershell"])
def test_export_lines_refuse_a_name_a_shell_would_run(shell: str) -> None:
    with pytest.raises(ConfigError):
        export_lines({"A;touch x": "1"}, shell)


@settings(max_examples=5, deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40),
        min_size=20,
        max_size=60,
    )
)
def test_sh_reads_back_every_exported_value(values: list[str]) -> None:
    changes = {f"V{index}": value for index, value in enumerate(values)}
    script = export_lines(changes) + "".join(f"printf '%s\\0' \"${name}\"\n" for name in changes)
    ran = subprocess.run(["sh", "-c", script], capture_output=True, check=True, env={})
    assert ran.stdout.split(b"\0")[:-1] == [value.encode() for value in values]


def test_sh_forgets_a_removed_variable() -> None:
    ran = subprocess.run(
        ["sh", "-c", export_lines({"GONE": None}) + "printf '%s' \"${GONE-unset}\""],
        capture_output=True,
        check=True,
        env={"GONE": "1", "PATH": os.defpath},
    )
    assert ran.stdout == b"unset"


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ((), "localhost,127.0.0.1,::1"),
        (("localhost:8000",), "127.0.0.1,::1"),
        (("localhost:8000", "127.0.0.1:11434", "[::1]:1"), ""),
        (("[::1]:8001",), "localhost,127.0.0.1"),
        (("::1",), "localhost,127.0.0.1"),
        (("0.0.0.0:8000", "llm.example"), "localhost,127.0.0.1,::1"),
        (("127.0.0.1",), "localhost,::1"),
    ],
)
def test_no_proxy_hides_no_local_provider(own: tuple[str, ...], expected: str) -> None:
    user = {"NO_PROXY": ",".join(["corp.example", *(host for host in own if ":" in host)])}
    new = client_environment(
        user, proxy_url=PROXY, ca_cert=CA, bundle=BUNDLE, own_hosts=own, hosts=built_in().hosts
    )
    assert new["NO_PROXY"] == new["no_proxy"]
    assert new["NO_PROXY"] == ",".join(filter(None, ["corp.example", expected]))
