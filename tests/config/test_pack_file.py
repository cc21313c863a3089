"""Every pack that comes with wiretape is as it has to be, and what is not is named."""

from pkgutil import get_data

import pytest

from wiretape.config import packs
from wiretape.config.pack_file import faults


@pytest.mark.parametrize("name", packs.NAMES)
def test_a_pack_of_wiretapes_is_well_formed(name: str) -> None:
    data = get_data("wiretape.config", f"packs/{name}.yaml")
    assert faults(name, data or b"", packs.NAMES) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("like: [opneai]", '2: like[0]: expected the name of a pack (did you mean "openai"?)'),
        ("hosts: [https://a.example/]", "2: hosts[0]: expected a host such as api.example.com"),
        ("errors: xml", "2: errors: expected openai"),
        ("key_env: {a-b: x}", "2: key_env.a-b: expected the name of an environment variable"),
        ("key_env: {A: {when_set: x}}", "2: key_env.A: expected "),
        ("rules: [{name: a}]", "2: rules[0]: says nothing: give one of on, ignore,"),
        ("rules: [{name: a, ignore: [x]}]", "2: rules[0].ignore[0]: expected a JSONPath"),
        ("drift: [{verdict: fine}]", "2: drift[0].verdict: expected benign"),
        ("ids: [1]", "2: ids[0]: expected text, got a number"),
    ],
)
def test_a_fault_is_named_with_its_line(text: str, expected: str) -> None:
    (fault,) = faults("groq", f"name: groq\n{text}\n".encode(), packs.NAMES)
    assert fault.startswith(f"packs/groq.yaml:{expected}")


def test_all_faults_are_named_at_once() -> None:
    assert len(faults("groq", b"name: groq\nhosts: 1\nlike: 2\nrule: []\n", packs.NAMES)) == 3
