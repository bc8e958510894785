"""Where the builder looks and what it takes from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from fieldtap_image.errors import ImageError
from fieldtap_image.settings import cache_folder, from_environment


def test_the_cache_is_where_the_user_says_then_where_the_desktop_says_then_at_home() -> None:
    assert cache_folder({"FIELDTAP_CACHE": "/a", "XDG_CACHE_HOME": "/b"}) == Path("/a")
    assert cache_folder({"XDG_CACHE_HOME": "/b"}) == Path("/b/fieldtap")
    assert cache_folder({}) == Path.home() / ".cache" / "fieldtap"


def test_a_given_time_stamp_wins_over_the_commit() -> None:
    assert from_environment({"SOURCE_DATE_EPOCH": "123"}).source_date_epoch == 123


def test_a_time_stamp_that_is_no_number_is_refused() -> None:
    with pytest.raises(ImageError, match="SOURCE_DATE_EPOCH"):
        from_environment({"SOURCE_DATE_EPOCH": "yesterday"})


def test_no_mirror_is_named_unless_the_user_names_one() -> None:
    assert from_environment({"SOURCE_DATE_EPOCH": "1"}).mirror is None
    assert from_environment({"SOURCE_DATE_EPOCH": "1", "MIRROR": "x"}).mirror == "x"
