"""What a run or a session came to."""

from wiretape.api.result import Result, RunFailed, of_session


def test_a_result_is_well_without_problems_and_status() -> None:
    assert Result().ok
    assert not Result(problems=("x",)).ok
    assert not Result(status=3).ok


def test_a_session_tells_its_counts_and_problems() -> None:
    document = {"counts": {"missed": 1, "replayed": 2}, "problems": ["p"], "used": ["b", "a"]}
    result = of_session("s", document)
    assert str(result) == "wiretape session s: 1 missed, 2 replayed\np"
    assert result.used == ("a", "b")
    assert str(of_session("s", {"counts": {}, "used": []})) == "wiretape session s: no exchanges"
    assert RunFailed(result).result is result
