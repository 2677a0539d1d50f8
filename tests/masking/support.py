"""Short ways to a scanner and a plan."""

from __future__ import annotations

from checkrein.core.identity import Principal
from checkrein.core.maskplan import ColumnInfo, MaskPlan, Scanner
from checkrein.core.verdict import CustomDetector, DetectDuty, MaskDuty, Obligations, Refusal
from checkrein.masking.plan import Masker
from checkrein.masking.scanner import DetectScanner, _Rewriting

ANN = Principal("ann", "corp")
BOB = Principal("bob", "corp")
MASKER = Masker(b"0123456789abcdef0123456789abcdef")


def detects(*names: str, custom: CustomDetector | None = None, **duty: object) -> tuple[DetectDuty, ...]:
    """Return detect duties; strategy token unless said otherwise."""
    owed = MaskDuty(**{"strategy": "token", **duty})  # type: ignore[arg-type]
    out = tuple(DetectDuty(detector=name, duty=owed) for name in names)
    return (*out, DetectDuty(detector=custom.name, duty=owed, definition=custom)) if custom else out


def planned(obligations: Obligations, *columns: ColumnInfo, principal: Principal = ANN) -> MaskPlan:
    """Return a plan that must exist."""
    plan = MASKER.plan(obligations, principal, columns)
    assert plan is not None and not isinstance(plan, Refusal), plan
    return plan


def scanner(*names: str, column: str = "note", custom: CustomDetector | None = None, **duty: object) -> Scanner:
    """Return the scanner of some detectors."""
    plan = planned(Obligations(detect=detects(*names, custom=custom, **duty)), ColumnInfo(name=column))
    assert plan.scanner is not None
    return plan.scanner


def rewritten(scan: Scanner, cell: str, kind: str = "text", column: str = "note") -> str | None:
    """Return what a client gets of a text: both stages, as a protocol applies them."""
    value = cell.encode()
    if not scan.hit(value):
        return cell
    out = scan.rewrite(value, column, kind, {})
    return None if out is None else out.decode()


def stage_two(scan: Scanner, value: bytes, kind: str = "text", column: str = "note") -> bytes | None:
    """Return what stage two makes of a text or JSON when stage one has no say."""
    assert isinstance(scan, DetectScanner)
    near = scan._recogniser.near(column)
    work = _Rewriting(scan._recogniser, scan._duties, near, {})
    return work.json(value, 0) if kind == "json" else work.text(value, near, 0)
