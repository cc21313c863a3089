"""Options that several commands share, and what they say of a wrong value."""

import click
import pytest
from click.testing import CliRunner, Result

from wiretape.cli.options import (
    DRY_RUN,
    HOSTS,
    RECORDINGS,
    ROUTES,
    Option,
    as_json,
    html_file,
    record_mode,
    with_options,
)


def run(option: Option, *args: str) -> Result:
    @click.command()
    @option
    def command(**values: object) -> None:
        click.echo(repr(values))

    return CliRunner().invoke(command, list(args))


def test_a_route_has_a_host_and_a_url() -> None:
    done = run(ROUTES, "--map", "API.Example=https://127.0.0.1:8443/v2", "--map", "b=http://c")
    expected = {"api.example": "https://127.0.0.1:8443/v2", "b": "http://c"}
    assert done.stdout == f"{ {'routes': expected}!r}\n"


@pytest.mark.parametrize("value", ["api.example", "api.example=", "api.example=localhost:8000"])
def test_what_is_not_a_route_is_refused_with_an_example(value: str) -> None:
    done = run(ROUTES, "--map", value)
    assert done.exit_code == 2
    assert "expected HOST=URL, such as api.together.xyz=https://127.0.0.1:8443" in done.stderr


def test_hosts_are_checked_as_those_of_the_configuration() -> None:
    assert run(HOSTS, "--host", "LocalHost:8000", "--host", "[::1]:1").stdout == (
        "{'hosts': ('localhost:8000', '[::1]:1')}\n"
    )
    done = run(HOSTS, "--host", "https://localhost")
    assert done.exit_code == 2
    assert "expected a host such as api.example.com" in done.stderr


def test_options_are_listed_in_the_order_they_are_given() -> None:
    help_text = run(with_options(DRY_RUN, as_json("As JSON."), record_mode()), "--help").stdout
    places = [help_text.index(name) for name in ("--dry-run", "--json", "--record-mode")]
    assert places == sorted(places)


@pytest.mark.parametrize("default", [None, "missing-only"])
def test_the_help_of_record_mode_names_its_default(default: str | None) -> None:
    help_text = " ".join(run(record_mode(default), "--help").stdout.split())
    assert ("missing (default)" in help_text) is (default is not None)
    assert run(record_mode(default)).stdout == f"{ {'record_mode': default}!r}\n"


def test_a_page_in_one_file_may_go_to_standard_output() -> None:
    done = run(html_file("Write a page.", "--html-report"), "--html-report", "-")
    assert "'html_report'" in done.stdout


@pytest.mark.parametrize("url", ["s3://bucket/prefix", "gs://bucket", "file:///srv/recordings"])
def test_a_store_is_no_folder_of_recordings(url: str) -> None:
    done = run(RECORDINGS, "-r", url)
    assert done.exit_code == 2
    assert "a store is `recordings` in config.yaml" in done.output
    assert run(RECORDINGS, "-r", "some/folder").exit_code == 0
