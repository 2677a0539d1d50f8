"""Keys and tokens of code hosts and services, by the prefixes that their makers publish."""

from __future__ import annotations

import re

from checkrein.masking.detectors.base import LEFT, RIGHT, Detector, Span, by_pattern, spans_of

_END = rb"(?![A-Za-z0-9_-])"


def _keys(name: str, patterns: tuple[bytes, ...], stage_one: tuple[bytes, ...]) -> Detector:
    return Detector(name=name, shape="key", find=by_pattern(*patterns), stage_one=stage_one)


GITHUB_TOKEN = _keys(
    "github_token",
    (
        rb"gh[pousr]_[A-Za-z0-9]{36,255}",
        rb"github_pat_[A-Za-z0-9_]{50,255}",
        rb"(?<![A-Za-z0-9])v1\.[0-9a-f]{40}" + RIGHT,
    ),
    (rb"gh[pousr]_[A-Za-z0-9]{36}", rb"github_pat_", rb"v1\.[0-9a-f]{40}"),
)
GITLAB_TOKEN = _keys(
    "gitlab_token",
    (
        rb"gl(?:pat|dt|rt|rtr|cbt|ptt|ft|soat|imt|agent|oas|ffct|wt)-[A-Za-z0-9_.-]{20,}",
        LEFT + rb"GR1348941[A-Za-z0-9_-]{20}",
    ),
    (rb"gl(?:pat|dt|rt|rtr|cbt|ptt|ft|soat|imt|agent|oas|ffct|wt)-", rb"GR1348941"),
)
SLACK_TOKEN = _keys(
    "slack_token",
    (
        rb"xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{10,}",
        rb"xapp-[0-9]-[A-Za-z0-9-]{10,}",
        rb"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9/_-]{10,})",
    ),
    (rb"xox[a-z][.-]", rb"xapp-[0-9]-", rb"hooks\.slack\.com"),
)
STRIPE_KEY = _keys(
    "stripe_key",
    (rb"(?<![A-Za-z0-9])(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{20,}",),
    (rb"[sr]k_(?:live|test)_", rb"whsec_"),
)
OPENAI_KEY = _keys(
    "openai_key",
    (
        LEFT + rb"sk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{20,}",
        LEFT + rb"sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}",
        LEFT + rb"sk-[A-Za-z0-9]{48}" + _END,
    ),
    (rb"sk-(?:proj|svcacct|admin|None)-", rb"sk-[A-Za-z0-9]{28}"),
)
# What `api_key` finds beyond the detectors that have a name of their own.
_OTHER = (
    rb"sk-ant-[A-Za-z0-9_-]{20,}",
    rb"npm_[A-Za-z0-9]{36}",
    rb"pypi-[A-Za-z0-9_-]{50,}",
    rb"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{30,64}",
    rb"hf_[A-Za-z0-9]{30,}",
    rb"do[opr]_v1_[0-9a-f]{64}",
    rb"shp(?:at|ca|pa|ss)_[0-9A-Fa-f]{32}",
    rb"(?<![A-Za-z0-9])SK[0-9a-f]{32}" + RIGHT,
    rb"(?<![0-9])[0-9]{8,10}:AA[A-Za-z0-9_-]{33}" + _END,
    rb"lin_api_[A-Za-z0-9]{32,}",
    rb"ntn_[A-Za-z0-9]{40,}",
    rb"ATATT3[A-Za-z0-9_=-]{50,}",
    rb"hv[sb]\.[A-Za-z0-9_-]{20,}",
    rb"(?<![A-Za-z0-9])dapi[0-9a-f]{32}(?:-[0-9])?",
    rb"PMAK-[0-9a-f]{24}-[0-9a-f]{34}",
    rb"glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}",
    rb"sq0(?:atp|csp)-[A-Za-z0-9_-]{22,43}",
    rb"dp\.(?:pt|st|ct)\.[A-Za-z0-9._-]{40,}",
    rb"(?i:authorization: ?)?Bearer ([A-Za-z0-9_.~+/-]{20,4096}={0,2})",
)
_NEAR_SOURCE = (
    rb"(?i)(?:api|app)[ _-]?(?:key|secret|token)|(?:access|auth|bearer|refresh)[ _-]?token|client[ _-]?secret"
)
_NEAR = re.compile(_NEAR_SOURCE)
_ASSIGNED = re.compile(
    rb"(?:" + _NEAR_SOURCE.replace(b"(?i)", b"(?i:", 1) + rb"))[\"']?[ ]{0,2}(?:[:=]|=>|is)[ ]{0,2}[\"']?"
    rb"([A-Za-z0-9_.~+/-]{16,512}={0,2})"
)
_WHOLE = re.compile(rb"[A-Za-z0-9_.~+/-]{16,512}={0,2}")
_find_prefixed = by_pattern(*_OTHER)


def _find_other(value: bytes, near: bool) -> list[Span]:
    """Find keys by prefix, by assignment (`api_key=...`), and any long word under a name that says so."""
    if near and _WHOLE.fullmatch(value) and re.search(rb"[0-9]", value):
        return [(0, len(value))]
    return _find_prefixed(value, near) + spans_of(_ASSIGNED, value)


OTHER_KEY = Detector(
    name="api_key",
    shape="key",
    find=_find_other,
    stage_one=(
        rb"sk-ant-|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{20}|SG\.[A-Za-z0-9_-]{16}|hf_[A-Za-z0-9]{30}|do[opr]_v1_",
        rb"shp(?:at|ca|pa|ss)_|SK[0-9a-f]{32}|:AA[A-Za-z0-9_-]{33}|lin_api_|ntn_[A-Za-z0-9]{8}|ATATT3|dapi[0-9a-f]{32}",
        rb"hv[sb]\.[A-Za-z0-9_-]{20}|PMAK-|glsa_|sq0(?:atp|csp)-|dp\.(?:pt|st|ct)\.|Bearer ",
        _NEAR_SOURCE,
    ),
    near=_NEAR,
    near_stage_one=(rb"(?:[A-Za-z0-9_.~+/-]|\\/){16}",),
)
