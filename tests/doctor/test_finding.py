"""A result as `wiretape doctor --json` prints it."""

from wiretape.doctor.finding import CheckResult


def test_a_result_without_advice_has_no_member_for_it() -> None:
    result = CheckResult("clock", "ok", "2026-11-30")
    assert result.as_json() == {"name": "clock", "state": "ok", "seen": "2026-11-30"}


def test_a_result_with_advice_has_all_members() -> None:
    result = CheckResult("port 8080", "fault", "Address already in use", "choose another")
    assert list(result.as_json().items())[2:] == [
        ("seen", "Address already in use"),
        ("advice", "choose another"),
    ]
