"""What runs read of packs and prices is what their YAML files say; a wrong pack is refused."""

from pkgutil import get_data

import pytest

from wiretape.config.write_shipped import as_text, read_pack
from wiretape.core.errors import ConfigError

WRONG = {
    "host: [a.example]": "packs/groq.yaml:2: host: unknown key, expected one of: base_url_env,"
    " drift, errors, hosts, ids, key_env, key_header, like, name, rules, tested"
    ' (did you mean "hosts"?)',
    "hosts: a.example": "packs/groq.yaml:2: hosts: expected a list, in brackets or with a dash"
    " before each item, got text",
    "rules:\n- {name: a, ignores: [$.x]}": "packs/groq.yaml:3: rules[0].ignores: unknown key,",
    "drift:\n- {verdict: benign, teir: shape}": "packs/groq.yaml:3: drift[0].teir: unknown key,",
    "rules: [{ignore: [$.x]}]": "packs/groq.yaml:2: rules[0].name: missing, it has no default",
    "key_header: {env: [A]}": "packs/groq.yaml:2: key_header: expected a header's name, or {name:",
    "key_env: {A_KEY: {when_set: a}}": "packs/groq.yaml:2: key_env.A_KEY: expected the dummy that",
    "hosts: [": "packs/groq.yaml:3:1: not YAML: ",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_pack_with_a_fault_is_refused_with_its_line_and_what_was_expected(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_pack("groq", f"name: groq\n{text}\n".encode())
    assert str(caught.value).startswith(WRONG[text])


def test_a_pack_is_called_as_its_file_is() -> None:
    with pytest.raises(ConfigError, match="name: expected groq, as the file is called"):
        read_pack("groq", b"name: grok\n")


def test_the_file_that_runs_read_is_what_the_yaml_says() -> None:
    text = (get_data("wiretape.config", "shipped.json") or b"").decode()
    assert text == as_text(), "a pack, a price or a default was edited: run `make packs`"
