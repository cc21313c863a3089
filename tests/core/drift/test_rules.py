"""The first rule that fits judges a difference; what none names is a regression."""

import pytest

from wiretape.core.drift.rules import (
    CHANGES,
    RULES,
    VERDICTS,
    DriftRule,
    FoundChange,
    JudgedChange,
    Tier,
    judged,
    worst,
)

MEMBER = FoundChange(tier="shape", change="member-came", path="chunk.obfuscation")


def verdict(change: FoundChange, *rules: DriftRule, provider: str | None = None) -> str:
    return judged([change], rules, provider)[0].verdict


def test_a_rule_of_ones_own_goes_before_those_of_wiretape() -> None:
    assert verdict(MEMBER) == "new"
    own = DriftRule(verdict="benign", tier="shape", change="member-*", path="*.obfuscation")
    assert verdict(MEMBER, own) == "benign"
    assert verdict(FoundChange(tier="shape", change="member-came", path="other"), own) == "new"


def test_the_first_that_fits_decides() -> None:
    first, second = DriftRule(verdict="benign"), DriftRule(verdict="regression")
    assert (verdict(MEMBER, first, second), verdict(MEMBER, second, first)) == (
        *("benign", "regression"),
    )


def test_a_rule_of_one_provider_is_not_anothers() -> None:
    own = DriftRule(verdict="benign", provider="openai")
    assert verdict(MEMBER, own, provider="openai") == "benign"
    assert verdict(MEMBER, own, provider="anthropic") == "new"


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [("*", True), ("5*", True), ("503", True), ("50", False), ("4*", False), ("*3", True)],
)
def test_an_asterisk_is_any_text_and_a_pattern_is_for_all_of_it(pattern: str, fits: bool) -> None:
    change = FoundChange(tier="transport", change="status", was="503", now="200")
    assert DriftRule(verdict="new", was=pattern).fits(change, None) is fits


def test_a_dot_in_a_pattern_is_a_dot() -> None:
    rule = DriftRule(verdict="new", path="a.b")
    assert not rule.fits(FoundChange(tier="shape", change="order", path="axb"), None)


def test_what_no_rule_names_is_a_regression() -> None:
    assert RULES[-1] == DriftRule(verdict="regression")
    assert verdict(FoundChange(tier="shape", change="member-went", path="id")) == "regression"


def test_an_error_that_is_answered_now_breaks_nobody() -> None:
    assert verdict(FoundChange(tier="transport", change="status", was="500", now="200")) == "new"
    back = FoundChange(tier="transport", change="status", was="200", now="500")
    assert verdict(back) == "regression"


def test_the_gravest_comes_first() -> None:
    went = FoundChange(tier="shape", change="member-went", path="id")
    same = FoundChange(tier="text", change="normalised")
    assert [each.verdict for each in judged([same, MEMBER, went])] == [*reversed(VERDICTS)]
    assert worst(judged([same, went, MEMBER])) == "regression"
    assert worst([]) is None


def test_a_change_is_worded_with_its_place_and_values() -> None:
    change = FoundChange(tier="transport", change="status", path="", was="200", now="500")
    assert str(JudgedChange(change, "regression")) == "another status (200 → 500)"
    assert str(JudgedChange(MEMBER, "new")) == "chunk.obfuscation: a member came"
    assert JudgedChange(MEMBER, "new").as_json() == {
        "verdict": "new",
        "tier": "shape",
        "change": "member-came",
        "path": "chunk.obfuscation",
    }


@pytest.mark.parametrize("tier", CHANGES)
def test_every_rule_names_changes_that_there_are(tier: Tier) -> None:
    for rule in RULES:
        if rule.tier == tier:
            some = (FoundChange(tier=tier, change=change) for change in CHANGES[tier])
            names = DriftRule(verdict="new", tier=tier, change=rule.change)
            assert any(names.fits(change, None) for change in some), rule
