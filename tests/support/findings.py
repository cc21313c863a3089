"""Findings of a scan and entries of a baseline, spelled shortly."""

from wiretape.scanning.baseline import Allowed
from wiretape.scanning.scan import Hit


def hit(file: str, line: int, rule: str, where: str, masked: str, remedy: str = "") -> Hit:
    return Hit(file=file, line=line, rule=rule, where=where, masked=masked, remedy=remedy)


def allowed(
    file: str, rule: str, where: str | None, masked: str | None, reason: str, line: int
) -> Allowed:
    return Allowed(file=file, rule=rule, where=where, masked=masked, reason=reason, line=line)
