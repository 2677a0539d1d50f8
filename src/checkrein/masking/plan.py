"""Mask plans: what each column of a result set owes, and the scanner that reads the rest (gate.ports.Masker)."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

from checkrein.core import limits
from checkrein.core.identity import Principal
from checkrein.core.maskplan import ColumnInfo, ColumnPlan, MaskPlan
from checkrein.core.statement import Origin
from checkrein.core.verdict import DetectDuty, MaskDuty, Obligations, Refusal
from checkrein.masking import strategies, tokens
from checkrein.masking.detectors import Detector, detectors_for
from checkrein.masking.recognise import Recogniser
from checkrein.masking.scanner import DetectScanner, Duty

SCANNED = frozenset(("text", "json", "array", "composite", "bytes", "integer", "numeric", "other"))
"""Kinds that detectors read; a boolean, a uuid and a timestamp hold nothing to find."""

_REDACT = MaskDuty(strategy="redact")
K = TypeVar("K")
V = TypeVar("V")
_Detects = tuple[DetectDuty, ...]


class Masker:
    """Builds mask plans and masks free texts. `key` is the deployment key, at least 16 bytes; it never leaves here."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 16:
            raise ValueError("the masking key has at least 16 bytes")
        self._column_key = tokens.derive(key, "columns")
        self._detect_key = tokens.derive(key, "detectors")
        self._digest_key = tokens.derive(key, "journal digests")
        self._detectors: OrderedDict[_Detects, tuple[tuple[Detector, DetectDuty], ...]] = OrderedDict()
        self._recognisers: OrderedDict[tuple[tuple[str, ...], frozenset[int]], Recogniser] = OrderedDict()
        self._texts: dict[tuple[int, int], tuple[_Detects, Principal, DetectScanner]] = {}
        self._scanners: OrderedDict[tuple[_Detects, frozenset[int], str, str], DetectScanner] = OrderedDict()

    def plan(
        self, obligations: Obligations, principal: Principal, columns: tuple[ColumnInfo, ...]
    ) -> MaskPlan | Refusal | None:
        """Return the plan of a result set; None when nothing is owed; a Refusal when a duty cannot be met."""
        if not obligations.owed:
            return None
        try:
            plans = tuple(self._column(obligations, principal, column) for column in columns)
            scanned = tuple(columns[place].name for place, plan in enumerate(plans) if plan is not None and plan.scan)
            scanner = self._scanner(obligations.detect, principal, scanned) if scanned else None
        except ValueError as error:
            return Refusal(code="mask_failed", reason=f"A mask that is owed cannot be applied: {error}.")
        if all(plan is None for plan in plans):
            return None
        return MaskPlan(plans, scanner)

    def scrub(
        self, obligations: Obligations, principal: Principal, texts: tuple[bytes, ...], counts: dict[str, int]
    ) -> tuple[bytes, ...]:
        """Return free texts (error fields, notices, payloads) with what the detectors find masked."""
        if not obligations.detect:
            return texts
        try:
            scanner = self._text_scanner(obligations.detect, principal)
        except ValueError:
            return tuple([strategies.REDACTED for _ in texts])
        if not scanner.hit(texts[0] if len(texts) == 1 else b"\n".join(texts)):
            return texts
        return tuple(_scrubbed(scanner, text, counts) for text in texts)

    def digest(self, value: bytes) -> str:
        """Return the keyed digest under which a secret constant stands in the journal: 32 hex digits."""
        return tokens.hexed(self._digest_key, b"digest", value, 32).decode("ascii")

    def _text_scanner(self, detect: _Detects, principal: Principal) -> DetectScanner:
        """Return the scanner of free texts; found by identity, since every statement asks for it."""
        ident = (id(detect), id(principal))
        known = self._texts.get(ident)
        if known is None:
            if len(self._texts) >= limits.MASK_SCANNERS:
                self._texts.clear()
            known = self._texts[ident] = (detect, principal, self._scanner(detect, principal, ()))
        return known[2]

    def _column(self, obligations: Obligations, principal: Principal, column: ColumnInfo) -> ColumnPlan | None:
        """Return what one column owes."""
        owed = _duties(obligations, column.origins)
        if owed:
            duty, label = _strictest(owed)
            if column.how == "bare":
                return self._masked(duty, principal, column, label)
            if column.how == "safe" or column.output not in ("boolean", "count"):
                return self._masked(_redacting(duty), principal, column, label)
        if obligations.redact_unknown_calls and any(call not in obligations.clear_calls for call in column.calls):
            return self._masked(_REDACT, principal, column, column.name)
        if obligations.detect and column.kind in SCANNED:
            return ColumnPlan(scan=True, label=column.name)
        return None

    def _masked(self, duty: MaskDuty, principal: Principal, column: ColumnInfo, label: str) -> ColumnPlan:
        if duty.strategy not in strategies.ORDER:
            raise ValueError(f"unknown strategy {duty.strategy!r}")
        mask = strategies.column_mask(duty, self._key(self._column_key, duty, principal), column.kind)
        return ColumnPlan(mask=mask, strategy=duty.strategy, label=label)

    def _key(self, key: bytes, duty: MaskDuty, principal: Principal) -> bytes:
        return key if duty.joinable else tokens.principal_key(key, principal)

    def _scanner(self, detect: _Detects, principal: Principal, names: tuple[str, ...]) -> DetectScanner:
        """Return the scanner of a duty set; compiled once, kept while it is used."""
        entries = self._entries(detect)
        active = frozenset(
            index for index, (one, _) in enumerate(entries) if one.near_stage_one and any(map(one.is_near, names))
        )
        ident = (detect, active, principal.issuer, principal.subject)
        scanner = self._scanners.get(ident)
        if scanner is None:
            scanner = DetectScanner(self._recogniser(entries, active), self._duties_of(entries, principal))
            _keep(self._scanners, ident, scanner, limits.MASK_SCANNERS)
        else:
            self._scanners.move_to_end(ident)
        return scanner

    def _entries(self, detect: _Detects) -> tuple[tuple[Detector, DetectDuty], ...]:
        """Return the detectors behind a duty set, each once, with the strictest duty that names it."""
        known = self._detectors.get(detect)
        if known is not None:
            return known
        best: dict[str, tuple[Detector, DetectDuty]] = {}
        for one in detect:
            if one.duty.strategy not in strategies.ORDER:
                raise ValueError(f"unknown strategy {one.duty.strategy!r}")
            for detector in detectors_for(one.detector, one.definition):
                ident = detector.name if one.definition is None else f"{one.definition!r}"
                first = best.get(ident)
                if first is None or strategies.strictness(one.duty) < strategies.strictness(first[1].duty):
                    best[ident] = (detector, one)
        entries = tuple(best.values())
        _keep(self._detectors, detect, entries, limits.DETECTOR_SETS)
        return entries

    def _duties_of(self, entries: tuple[tuple[Detector, DetectDuty], ...], principal: Principal) -> tuple[Duty, ...]:
        return tuple(
            Duty(detector.name, one.duty, self._key(self._detect_key, one.duty, principal), detector.shape)
            for detector, one in entries
        )

    def _recogniser(self, entries: tuple[tuple[Detector, DetectDuty], ...], active: frozenset[int]) -> Recogniser:
        ident = (tuple(f"{one.name} {duty.definition!r}" for one, duty in entries), active)
        known = self._recognisers.get(ident)
        if known is None:
            known = Recogniser(tuple(one for one, _ in entries), active)
            _keep(self._recognisers, ident, known, limits.DETECTOR_SETS)
        else:
            self._recognisers.move_to_end(ident)
        return known


def _keep(cache: OrderedDict[K, V], ident: K, value: V, most: int) -> None:
    """Add to a cache and drop what was used longest ago."""
    cache[ident] = value
    while len(cache) > most:
        cache.popitem(last=False)


def _duties(obligations: Obligations, origins: tuple[Origin, ...]) -> list[tuple[MaskDuty, str]]:
    """Return the duties of the masked columns among origins, with their full names."""
    found = ((obligations.columns.get((one.relation, one.column)), one) for one in origins)
    return [(duty, f"{one.relation}.{one.column}") for duty, one in found if duty is not None]


def _strictest(owed: list[tuple[MaskDuty, str]]) -> tuple[MaskDuty, str]:
    return min(owed, key=lambda pair: strategies.strictness(pair[0]))


def _redacting(duty: MaskDuty) -> MaskDuty:
    """Return what an output that only derives from a masked column owes: never more than a fixed text."""
    if duty.strategy == "null":
        return duty
    return MaskDuty(strategy="redact", text=duty.text, policy=duty.policy)


def _scrubbed(scanner: DetectScanner, text: bytes, counts: dict[str, int]) -> bytes:
    if not scanner.hit(text):
        return text
    written = scanner.rewrite(text, "", "text", counts)
    return strategies.REDACTED if written is None else written
