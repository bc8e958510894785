"""What users of the command line read when something is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from fieldtap_image.__main__ import main


def test_a_stick_that_is_a_file_gives_one_error_and_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    assert main(["flash", str(tmp_path / "absent")]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("image: error: ")
    assert "hint: " in captured.err


def test_an_unknown_command_is_a_bad_option() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["fly"])
    assert caught.value.code == 2
