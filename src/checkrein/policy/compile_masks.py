"""Masks and detectors of one policy, held against what is known and what the protocols can carry."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from checkrein.core.spec import ProtocolSpec
from checkrein.core.verdict import ALLOW, DENY, CustomDetector, DetectDuty, MaskDuty
from checkrein.policy.compile_rules import inference_terms
from checkrein.policy.documents import Document
from checkrein.policy.model import MaskModel, PolicyModel
from checkrein.policy.names import ColumnPattern
from checkrein.policy.report import Report
from checkrein.policy.rules import ColumnMask
from checkrein.policy.suggest import suggestion

CheckDetector = Callable[[CustomDetector], str]
"""Says what masking finds wrong with a detector of the deployment's own, an empty string when nothing."""

CHECKSUMS: Final = frozenset({"luhn", "mod11", "mod97"})
"""Checksums that a detector of the deployment's own may name."""


def compile_masks(
    document: Document[PolicyModel],
    specs: Mapping[str, ProtocolSpec],
    detectors: Collection[str],
    report: Report,
    check: CheckDetector,
) -> tuple[tuple[ColumnMask, ...], tuple[DetectDuty, ...]]:
    """Return the column masks and the detector duties of a policy.

    `specs` are the protocols that the policy certainly speaks to; empty where no target or protocol says so.
    """
    policy = document.value.metadata.name
    own = _own_detectors(document, detectors, report, check)
    columns: list[ColumnMask] = []
    detect: list[DetectDuty] = []
    for index, mask in enumerate(document.value.spec.masks):
        _check_carried(mask, index, specs, report)
        duty = MaskDuty(
            strategy=mask.strategy,
            keep_first=mask.keep_first,
            keep_last=mask.keep_last,
            text=mask.text,
            joinable=mask.joinable,
            inference=mask.inference or DENY,
            policy=policy,
        )
        if mask.columns is not None:
            patterns = report.all_made(("masks", index, "columns"), ColumnPattern, mask.columns)
            columns.append(ColumnMask(patterns, duty, inference_terms(policy, index, mask, report)))
        for place, name in enumerate(mask.detect or ()):
            if name not in own and name not in detectors:
                known = suggestion(name, [*detectors, *own])
                report.error(("masks", index, "detect", place), f"unknown detector {name}{known}")
            detect.append(
                DetectDuty(detector=name, duty=duty, transformed=mask.transformed or ALLOW, definition=own.get(name))
            )
    return tuple(columns), tuple(detect)


def _check_carried(mask: MaskModel, index: int, specs: Mapping[str, ProtocolSpec], report: Report) -> None:
    """Report what an addressed protocol cannot carry; `specs` may be empty when that is not known."""
    for name, spec in specs.items():
        if mask.strategy not in spec.vocabulary.strategies:
            report.error(("masks", index, "with"), f"{name} cannot carry the mask {mask.strategy}")
        if mask.columns is not None and not spec.vocabulary.columns:
            report.error(("masks", index, "columns"), f"{name} has no columns to mask")


def _own_detectors(
    document: Document[PolicyModel], detectors: Collection[str], report: Report, check: CheckDetector
) -> dict[str, CustomDetector]:
    own: dict[str, CustomDetector] = {}
    for index, model in enumerate(document.value.spec.detectors):
        if model.name in detectors or model.name in own:
            report.error(("detectors", index, "name"), f"detector {model.name} exists already")
        if model.checksum is not None and model.checksum not in CHECKSUMS:
            hint = f"checksum must be {' or '.join(sorted(CHECKSUMS))}"
            report.error(("detectors", index, "checksum"), f"{hint}{suggestion(model.checksum, CHECKSUMS)}")
        pattern = report.regex(("detectors", index, "pattern"), model.pattern)
        made = own[model.name] = CustomDetector(
            name=model.name,
            pattern=model.pattern or "",
            words=model.words or (),
            checksum=model.checksum or "",
            near=model.near or (),
        )
        told = (model.checksum or "luhn") not in CHECKSUMS or (model.pattern is not None and pattern is None)
        wrong = "" if told else check(made)
        if wrong:
            report.error(("detectors", index), wrong)
    return own
