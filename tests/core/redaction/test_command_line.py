"""A server's command line as a URL: what tells it apart, and no credential."""

import pytest

from wiretape.core.redaction.command_line import command_target

KEY = "kV8w2Qz-T5rXn1Lp"


@pytest.mark.parametrize(
    ("command", "target"),
    [
        (["server"], "/server"),
        (["/opt/bin/server"], "/server"),
        (["C:\\Tools\\server.exe", "--db", "C:\\x"], "/server?db=C:%5Cx"),
        (["npx", "-y", "@acme/files@1", "/srv/a b"], "/npx?y=@acme/files@1&arg=/srv/a%20b"),
        (["x", "--read-only", "--root=/srv"], "/x?read-only=&root=/srv"),
        (["x", "-", "--", "a&b=c#d"], "/x?arg=-&arg=--&arg=a%26b%3Dc%23d"),
        (["my server", "é"], "/my%20server?arg=%C3%A9"),
    ],
)
def test_a_program_is_named_by_its_name_and_arguments(command: list[str], target: str) -> None:
    assert command_target(command) == (target, ())


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        (["--api-key", KEY], "api-key=secret"),
        ([f"--api-key={KEY}"], "api-key=secret"),
        (["--token", KEY, "/srv"], "token=secret&arg=/srv"),
        (["run", "-e", f"GITHUB_TOKEN={KEY}"], "arg=run&e=GITHUB_TOKEN&GITHUB_TOKEN=secret"),
        ([f"--header=Authorization: Bearer {KEY}"], "header=Authorization&Authorization=secret"),
        ([f"DB_PASSWORD={KEY}"], "DB_PASSWORD=secret"),
        (
            [f"https://mcp.example/?token={KEY}&a=1"],
            "arg=https://mcp.example/%3Ftoken%3Dsecret%26a%3D1",
        ),
    ],
)
def test_a_credential_is_left_out_and_known(arguments: list[str], query: str) -> None:
    target, known = command_target(["x", *arguments])
    assert target == f"/x?{query}"
    assert [value for _, value in known] == [KEY]


def test_user_and_password_of_a_url_are_left_out_and_known() -> None:
    target, known = command_target(["x", f"postgres://bob:{KEY}@db/x"])
    assert target == "/x?arg=postgres://secret@db/x"
    assert KEY in {value for _, value in known}


def test_one_that_is_not_there_has_the_same_place() -> None:
    assert command_target(["x", "-e", "GITHUB_TOKEN="]) == (
        "/x?e=GITHUB_TOKEN&GITHUB_TOKEN=secret",
        (),
    )


def test_what_is_named_otherwise_stays() -> None:
    assert command_target(["x", "--max-tokens", "5"])[0] == "/x?max-tokens=5"
