"""Reports of replicas that share no disk are found in a store, each once."""

import json
from pathlib import Path

import pytest

from wiretape.core.errors import ConfigError, StoreError
from wiretape.stores import reports

pytest.importorskip("obstore", reason="obstore is in wiretape[fleet]")


def test_each_replica_adds_its_own(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/reports/load-17"
    reports.check(url, {})
    names = {reports.push(url, {}, json.dumps({"replica": number}).encode()) for number in (1, 2)}
    assert len(names) == 2
    read = sorted(document["replica"] for document in reports.read_all(url, {}))
    assert read == [1, 2]


def test_where_no_report_is_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no report is there"):
        list(reports.read_all(f"file://{tmp_path}/reports", {}))


def test_what_is_no_report_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ConfigError, match=r"a\.json: cannot be read as a report"):
        list(reports.read_all(f"file://{tmp_path}", {}))


def test_a_store_that_cannot_be_had_is_told_before_the_run() -> None:
    environ = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "madeup"}
    with pytest.raises(StoreError, match="does not answer"):
        reports.check("s3://b/p", {**environ, "AWS_SECRET_ACCESS_KEY": "madeup"})
