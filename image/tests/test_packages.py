"""Which packages go into the tree."""

from __future__ import annotations

from pathlib import Path

from fieldtap_image import packages

ROLES = Path(__file__).parents[2] / "provision" / "roles"


def test_a_list_has_a_name_a_line_and_comments(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("# why\none\n\n  two  # because\n")
    assert packages.named_in(path) == ["one", "two"]


def test_what_the_roles_name_is_found() -> None:
    assert {"libseccomp2", "iproute2", "libudev1"} <= set(packages.of_roles(ROLES))


def test_a_role_without_packages_adds_none(tmp_path: Path) -> None:
    defaults = tmp_path / "bare" / "defaults" / "main.yml"
    defaults.parent.mkdir(parents=True)
    defaults.write_text("bare_setting: 1\n")
    assert packages.of_roles(tmp_path) == []
