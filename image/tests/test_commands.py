"""Running external programs: what users read when one fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from fieldtap_image.commands import run
from fieldtap_image.errors import ImageError


def test_standard_output_is_returned() -> None:
    assert run(["echo", "hello"], timeout_s=10) == "hello\n"


def test_a_failure_names_the_command_its_exit_code_and_its_last_words() -> None:
    with pytest.raises(ImageError) as caught:
        run(["sh", "-c", "echo out of luck >&2; exit 7"], timeout_s=10, hint="try again")
    assert "exit code 7" in str(caught.value)
    assert "| out of luck" in str(caught.value)
    assert "hint: try again" in str(caught.value)


def test_with_a_log_the_words_are_kept_there(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "x.log"
    assert run(["sh", "-c", "echo one; echo two >&2"], timeout_s=10, log=log) == ""
    assert log.read_text() == "one\ntwo\n"


def test_a_program_that_is_absent_is_named_with_how_to_get_it() -> None:
    with pytest.raises(ImageError, match="no-such-program: not installed"):
        run(["no-such-program"], timeout_s=10)


def test_a_program_that_takes_too_long_is_ended() -> None:
    with pytest.raises(ImageError, match="not done after"):
        run(["sleep", "60"], timeout_s=0.1)
