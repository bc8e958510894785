"""Recorded outputs of tools, which are not part of the project."""

from pathlib import Path

import pytest
from fieldlab import LabError, corpora

TOOL_BY_PREFIX = {
    "boltctl": "boltctl",
    "devlink-dev-info": "devlink",
    "dmesg": "dmesg",
    "ethtool-T": "ethtool-T",
    "ethtool-i": "ethtool-i",
    "ethtool-m": "ethtool-m",
    "ethtool.": "ethtool",
    "flint": "flint",
    "fwupd": "fwupd",
    "lspci": "lspci",
    "pmc": "pmc",
    "ptp-log": "ptp-log",
    "sensors": "sensors",
    "sfboot": "sfboot",
    "sfupdate": "sfupdate",
    "xdp-loader": "xdp-loader",
}


def folder() -> Path | None:
    """Where the recordings are; None where there are none."""
    try:
        path = corpora() / "tool-outputs"
    except LabError:
        return None
    return path if path.is_dir() else None


def samples() -> list[tuple[str, str]]:
    """Tool and file name of every recording; tables and expected values are none."""
    here = folder()
    names = sorted(path.name for path in here.iterdir()) if here else []
    found = [
        (tool_of(name), name) for name in names if not name.endswith((".tsv", ".expected.json"))
    ]
    return [(tool, name) for tool, name in found if tool]


def tool_of(name: str) -> str:
    return next((tool for prefix, tool in TOOL_BY_PREFIX.items() if name.startswith(prefix)), "")


def read(name: str) -> bytes:
    """The bytes of one recording; skips the test where there are none."""
    here = folder()
    if here is None:
        pytest.skip("no recordings in $FIELDTAP_CORPORA or ../shared/corpora")
    return (here / name).read_bytes()
