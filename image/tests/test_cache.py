"""The cache of stages."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from fieldtap_image.cache import KEPT_PER_STAGE, Cache, digest, digest_tree, remove_tree
from fieldtap_image.errors import ImageError


def test_a_stage_with_the_same_key_is_made_once(tmp_path: Path) -> None:
    made: list[Path] = []
    cache = Cache(tmp_path)
    first = cache.stage("s", digest("a"), "text", made.append)
    second = cache.stage("s", digest("a"), "text", made.append)
    assert first == second
    assert len(made) == 1


def test_another_key_makes_the_stage_again(tmp_path: Path) -> None:
    made: list[Path] = []
    cache = Cache(tmp_path)
    cache.stage("s", digest("a"), "text", made.append)
    cache.stage("s", digest("b"), "text", made.append)
    assert len(made) == 2


def test_a_stage_that_failed_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise ImageError("no luck")

    cache = Cache(tmp_path)
    with pytest.raises(ImageError, match="no luck"):
        cache.stage("s", digest("a"), "text", fail)
    again = cache.stage("s", digest("a"), "text", lambda folder: None)
    assert list(again.iterdir()) == []


def test_only_the_latest_results_of_a_stage_are_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for number in range(KEPT_PER_STAGE + 3):
        latest = cache.stage("s", digest(number), "text", lambda folder: None)
    kept = list((tmp_path / "s").iterdir())
    assert len(kept) == KEPT_PER_STAGE
    assert latest in kept


def test_two_builds_do_not_use_one_cache_at_once(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with cache.locked(), pytest.raises(ImageError, match="another build"), cache.locked():
        pass


def test_the_digest_of_a_tree_sees_names_contents_modes_and_links(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    file = tree / "sub" / "file"
    link = tree / "link"
    file.write_text("one")
    link.symlink_to("sub")
    seen = {digest_tree([tree])}
    file.write_text("two")
    seen.add(digest_tree([tree]))
    file.chmod(0o700)
    seen.add(digest_tree([tree]))
    file.rename(tree / "sub" / "other")
    seen.add(digest_tree([tree]))
    link.unlink()
    link.symlink_to("elsewhere")
    seen.add(digest_tree([tree]))
    assert len(seen) == 5


def test_the_digest_of_a_tree_does_not_see_times(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("one")
    before = digest_tree([file])
    os.utime(file, (1, 1))
    assert digest_tree([file]) == before


def test_parts_cannot_be_shifted_between_each_other_without_another_digest() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("1") != digest(1)
    assert digest(None) != digest("None")


@pytest.mark.root
def test_a_tree_with_a_mount_left_in_it_is_not_removed(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("data")
    point = tmp_path / "tree" / "mnt"
    point.mkdir(parents=True)
    if subprocess.run(["mount", "--bind", outside, point], check=False).returncode != 0:
        pytest.skip("this machine does not let root mount")
    try:
        with pytest.raises(ImageError, match="still mounted"):
            remove_tree(tmp_path / "tree")
    finally:
        subprocess.run(["umount", point], check=True)
    assert (outside / "precious").read_text() == "data"
