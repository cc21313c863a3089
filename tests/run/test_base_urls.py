"""The base-URL variables of SDKs lead to the same place through the base-URL port."""

import sys

import pytest
from tests.support.commands import Wiretape

from wiretape.run.base_urls import through_base_url

DOOR = "http://127.0.0.1:8081"


def test_each_sdk_is_sent_to_the_place_it_knows_by_itself() -> None:
    found = through_base_url({}, DOOR)
    assert found["OPENAI_BASE_URL"] == f"{DOOR}/api.openai.com/v1"
    assert found["ANTHROPIC_BASE_URL"] == f"{DOOR}/api.anthropic.com"
    assert found["TOGETHER_BASE_URL"] == f"{DOOR}/api.together.xyz/v1"
    assert found["GOOGLE_GEMINI_BASE_URL"] == f"{DOOR}/generativelanguage.googleapis.com"
    assert found["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"].startswith(f"{DOOR}/bedrock-runtime.")


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("https://llm.example.com/v1", "llm.example.com/v1"),
        ("https://llm.example.com:8443/", "llm.example.com:8443/"),
        ("http://localhost:8000/v1", "localhost:8000/v1"),
        ("http://[::1]:8000", "[::1]:8000"),
    ],
)
def test_one_that_the_user_has_set_leads_where_it_led(given: str, place: str) -> None:
    found = through_base_url({"OPENAI_BASE_URL": given}, DOOR)
    assert found["OPENAI_BASE_URL"] == f"{DOOR}/{place}"


def test_one_that_leads_there_already_is_led_through_the_new_port_alone() -> None:
    before = {"WIRETAPE_BASE_URL": "http://127.0.0.1:7000"}
    shell = before | through_base_url({}, before["WIRETAPE_BASE_URL"])
    assert through_base_url(shell, DOOR) == through_base_url({}, DOOR)


@pytest.mark.parametrize(
    "given", ["http://llm.example.com/v1", "localhost:8000", "ftp://x", "https://", "https:///v1"]
)
def test_one_that_the_port_cannot_lead_to_stays(given: str) -> None:
    assert "OPENAI_BASE_URL" not in through_base_url({"OPENAI_BASE_URL": given}, DOOR)


def test_a_run_sets_them_where_it_is_asked_to(wiretape: Wiretape) -> None:
    show = "import os; print(os.environ.get('OPENAI_BASE_URL'), os.environ['WIRETAPE_BASE_URL'])"
    line = ["--allow-none", "--", sys.executable, "-c", show]
    url, door = wiretape("replay", "--base-url", *line).stdout.split()
    assert url == f"{door}/api.openai.com/v1"
    assert wiretape("replay", *line).stdout.startswith("None ")
