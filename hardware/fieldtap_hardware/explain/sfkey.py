"""sfkey: licences of Solarflare adapters, in whatever form.

No output of sfkey is public, so what is read here was never compared with a real one: the verdict
is `unknown` and the reason says "unverified format". The words are those of the firmware interface
(mcdi_pcol.h) that sfkey shows. Anything that may be a key or part of one is masked.
"""

import re

from fieldtap_hardware.explain.model import Draft, Item, append
from fieldtap_hardware.explain.text import Line, Recording, key_of, note_error
from fieldtap_hardware.licensed_apps import find_apps

UNVERIFIED = "unverified format: no public output of sfkey exists to compare with"
MASKED = "(masked)"

BANNER = re.compile(r".*\b(?:utility|copyright)\b.*|-{2,}.*", re.IGNORECASE)
ROW = re.compile(r"([A-Za-z][\w ()/.-]{0,60}?) *[:=] *(\S.*)?")
SERIAL = re.compile(r"serial|s/n", re.IGNORECASE)
# A run of key material: long words, groups as on a product key, bytes in hex.
LONG_WORD = re.compile(r"[A-Za-z0-9+/=_-]{16,}")
GROUPS = re.compile(r"(?:\b[A-Z0-9]{4,8}[ -]){2,}[A-Z0-9]{4,8}\b")
HEX_BYTES = re.compile(r"(?:\b[0-9A-Fa-f]{2}[ :-]?){8,}")
KEY_LABEL = re.compile(
    r".*\b(?:key|licen[cs]e)(?: ?(?:data|text|string|file|id))?|signature", re.IGNORECASE
)
WORDS = re.compile(r"[A-Za-z][A-Za-z ,/()_-]*")

ACTIVE = re.compile(r"active|licen[cs]ed|installed|enabled|valid|present|yes|pass(?:ed)?", re.I)
INACTIVE = re.compile(
    r"\b(?:not|no|none|in\w+|un\w+|blacklisted|expired|missing|disabled|fail\w*|wrong\w*)\b", re.I
)


def parse(recording: Recording, draft: Draft) -> None:
    """One item an adapter, unknown rows kept; `enables` are our features that it has keys for."""
    draft.doubt(UNVERIFIED)
    for line in recording:
        if BANNER.fullmatch(line.text) or note_error(line, draft):
            continue
        match = ROW.fullmatch(line.text)
        if line.indent and match and draft.items:
            _put(draft.items[-1], match[1], match[2] or "")
        elif not line.indent:
            _open(line, match, draft)
        else:
            draft.doubt(f"line {line.number} is not understood")
    if not draft.items:
        draft.doubt("no adapter is named in it")
    for item in draft.items:
        item.values["format"] = "unverified format"
        item.values["enables"] = sorted(_features(item))


def mask(text: str) -> str:
    """The text without anything that looks like key material."""
    for pattern in (GROUPS, HEX_BYTES, LONG_WORD):
        text = pattern.sub(_mask_run, text)
    return text


def _mask_run(run: re.Match[str]) -> str:
    whole = run[0]
    if find_apps(whole) or re.fullmatch(r"(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}", whole.strip()):
        return whole
    return MASKED


def _open(line: Line, row: re.Match[str] | None, draft: Draft) -> None:
    """Begin an adapter at an unindented line; rows may be unindented too."""
    if row and row[2] and draft.items:
        _put(draft.items[-1], row[1], row[2])
    elif row and row[2]:
        draft.open(mask(row[2].split()[0]))
        _put(draft.items[-1], row[1], row[2])
    else:
        words = mask(line.text.rstrip(":")).split()
        draft.open(words[0] if words else "adapter")
        if len(words) > 1:
            draft.items[-1].values["described_as"] = " ".join(words[1:])


def _put(item: Item, label: str, value: str) -> None:
    shown = value if SERIAL.search(label) and len(value) <= 40 else mask(value)
    if KEY_LABEL.fullmatch(label) and not find_apps(value) and not WORDS.fullmatch(value):
        shown = MASKED
    append(item.values, key_of(mask(label)) or "value", shown)


def _features(item: Item) -> set[str]:
    """What is licensed: an application with a good state, or named under a good state."""
    features: set[str] = set()
    for key, value in item.values.items():
        if key in ("format", "described_as"):
            continue
        for text in value if isinstance(value, list) else [value]:
            words = str(text)
            state, named = (words, key) if find_apps(key) else (key.replace("_", " "), words)
            if ACTIVE.search(state) and not INACTIVE.search(state):
                features |= {app.feature for app in find_apps(named) if app.feature}
    return features
