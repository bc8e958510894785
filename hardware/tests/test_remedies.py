"""Every verdict that asks for something says what to do, and every check is described."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fieldtap_hardware.verdicts import Check, Verdict

ROOM = Path(__file__).parents[1] / "fieldtap_hardware"
PAGES = Path(__file__).parents[2] / "docs"
IDENTIFIER = re.compile(r"[a-z]+\.[a-z0-9_]+")


@pytest.mark.parametrize("verdict", [Verdict.WARN, Verdict.FAIL])
@pytest.mark.parametrize("remedy", [None, ""])
def test_a_warning_or_failure_without_a_remedy_cannot_be_made(
    verdict: Verdict, remedy: str | None
) -> None:
    with pytest.raises(ValueError, match="names no remedy"):
        Check("port.link", "eth0", verdict, "is down", {}, remedy)


@pytest.mark.parametrize("verdict", [Verdict.OK, Verdict.UNKNOWN, Verdict.NOT_APPLICABLE])
def test_other_verdicts_need_none(verdict: Verdict) -> None:
    assert Check("port.link", "eth0", verdict, "is up", {}).remedy is None


def identifiers() -> set[str]:
    """The identifiers of all checks: texts of that form whose first word one of them has.

    The first words are those of texts that are passed to `Check` or to a function that makes one.
    """
    trees = [ast.parse(path.read_text()) for path in ROOM.glob("*.py")]
    texts = {text for tree in trees for text in _texts(tree) if IDENTIFIER.fullmatch(text)}
    kinds = {
        text.partition(".")[0]
        for tree in trees
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "id", None) in ("Check", "_check")
        for text in _texts(call)
        if IDENTIFIER.fullmatch(text)
    }
    return {text for text in texts if text.partition(".")[0] in kinds}


def _texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_the_pages_describe_every_check_and_no_others() -> None:
    found = identifiers()
    kinds = {name.partition(".")[0] for name in found}
    rows = re.compile(r"^\| (`[^|]+`) \|", re.MULTILINE)
    cells = [cell for page in PAGES.glob("*.md") for cell in rows.findall(page.read_text())]
    names = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    described = {
        name for name in names if IDENTIFIER.fullmatch(name) and name.partition(".")[0] in kinds
    }
    assert {"port.silent", "storage.space", "power.supply"} <= found
    assert described == found
