"""A client that comes when descriptors run out gets a 503 that says what to do."""

import pytest
from mitmproxy import exceptions, flow
from mitmproxy.test import tflow

from wiretape import descriptors
from wiretape.report.report import Report
from wiretape_mitm.admission import Admission


@pytest.fixture
def low(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for one client beside the reserve."""
    most = descriptors.RESERVE + 2
    monkeypatch.setattr(descriptors, "are_low", lambda reserve: reserve >= most)


@pytest.mark.usefixtures("low")
def test_a_client_too_many_is_refused_until_it_has_gone() -> None:
    report = Report("record")
    admission = Admission(report)
    first, second = tflow.tflow(), tflow.tflow()
    for each in (first, second):
        admission.client_connected(each.client_conn)
    admission.requestheaders(first)
    assert first.response is None
    for hook in (admission.http_connect, admission.requestheaders):
        second.response = None
        with pytest.raises(exceptions.AddonHalt):
            hook(second)
        assert second.response is not None
        assert second.response.status_code == 503
        assert second.response.headers["retry-after"] == "1"
        assert descriptors.advice().encode() in (second.response.content or b"")
    assert report.exit_status == 4
    admission.client_disconnected(second.client_conn)
    third = tflow.tflow()
    admission.client_disconnected(first.client_conn)
    admission.client_connected(third.client_conn)
    admission.requestheaders(third)
    assert third.response is None


def test_a_connection_that_failed_for_want_of_descriptors_fails_the_run() -> None:
    report, failed = Report("record"), tflow.tflow()
    admission = Admission(report)
    failed.error = flow.Error("connection refused")
    admission.error(failed)
    assert report.exit_status != 4
    failed.error = flow.Error("[Errno 24] Too many open files")
    admission.error(failed)
    assert report.exit_status == 4
