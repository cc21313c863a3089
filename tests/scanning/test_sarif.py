"""SARIF 2.1.0: what code scanning refuses a log for, and what it shows."""

import re
from typing import Any

from tests.support.findings import hit

from wiretape.scanning.sarif import log
from wiretape.scanning.scan import unsearched

HIT = hit(
    "recordings/a b.json", 12, "together-key", "request.body.k", "tgp_v1_Ab…(51 characters)", "R"
)
OTHER = hit("recordings/é.json", 1, "openai-key", "file", "sk-proj-Ab…(164 characters)")


def check(document: dict[str, Any]) -> list[dict[str, Any]]:
    """What the schema of SARIF 2.1.0 asks of the members that are used; gives the results."""
    assert document["version"] == "2.1.0"
    assert document["$schema"].endswith("sarif-schema-2.1.0.json")
    assert document.keys() == {"$schema", "version", "runs"}
    (run,) = document["runs"]
    assert run.keys() <= {"tool", "results", "columnKind"}
    assert run["columnKind"] in ("utf16CodeUnits", "unicodeCodePoints")
    driver = run["tool"]["driver"]
    assert driver.keys() <= {"name", "semanticVersion", "rules"}
    assert isinstance(driver["name"], str)
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(set(ids)) == len(ids)
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"]
        assert rule["help"]["text"]
        assert rule["defaultConfiguration"]["level"] in ("none", "note", "warning", "error")
        assert 0 <= float(rule["properties"]["security-severity"]) <= 10
    results: list[dict[str, Any]] = run["results"]
    for result in results:
        assert ids[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] == "error"
        assert result["message"]["text"]
        (location,) = result["locations"]
        physical = location["physicalLocation"]
        # A URI reference, RFC 3986: no space, no character beyond ASCII.
        assert re.fullmatch(r"[!-~]+", physical["artifactLocation"]["uri"])
        assert physical["region"]["startLine"] >= 1
        assert all(isinstance(value, str) for value in result["partialFingerprints"].values())
        for suppression in result.get("suppressions", ()):
            assert suppression["kind"] in ("inSource", "external")
    return results


def test_a_log_of_hits_is_what_the_schema_asks_for() -> None:
    assert len(check(log([HIT, OTHER, unsearched("x.bin", "too large")], [], "1.0.0"))) == 3


def test_a_run_without_hits_has_no_results_and_no_rules() -> None:
    document = log([], [], "1.0.0")
    assert check(document) == []
    assert document["runs"][0]["tool"]["driver"]["rules"] == []


def test_a_result_tells_file_line_rule_place_and_what_to_do() -> None:
    (result,) = check(log([HIT], [], "1.0.0"))
    assert result["ruleId"] == "together-key"
    message = "together-key: tgp_v1_Ab…(51 characters) in request.body.k. R"
    assert result["message"]["text"] == message
    assert result["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "recordings/a%20b.json"},
                "region": {"startLine": 12},
            },
            "logicalLocations": [{"fullyQualifiedName": "request.body.k"}],
        }
    ]
    assert result["partialFingerprints"] == {"wiretape/v1": HIT.fingerprint}


def test_two_hits_of_one_rule_share_it() -> None:
    document = log([HIT, hit("b.json", 1, "together-key", "x", "y")], [], "1.0.0")
    check(document)
    assert len(document["runs"][0]["tool"]["driver"]["rules"]) == 1


def test_what_a_baseline_lets_pass_is_a_suppressed_result_with_its_reason() -> None:
    first, second = check(log([HIT], [(OTHER, "revoked")], "1.0.0"))
    assert "suppressions" not in first
    assert second["suppressions"] == [{"kind": "external", "justification": "revoked"}]


def test_a_path_outside_of_the_working_directory_is_a_file_uri() -> None:
    (result,) = check(log([hit("/tmp/a.json", 1, "r", "w", "m")], [], "1.0.0"))
    location = result["locations"][0]["physicalLocation"]
    assert location["artifactLocation"] == {"uri": "file:///tmp/a.json"}
