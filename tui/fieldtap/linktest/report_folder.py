"""A report as files in a folder. What is there already is never touched: a new name is found."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from fieldtap_core import rundirs

from fieldtap.failures import CommandError
from fieldtap.linktest import report_csv, report_html, results
from fieldtap.linktest.results import LinktestReport


@dataclass(frozen=True)
class Saved:
    """The files of one report; all have the same number in their names, or none."""

    json: Path
    html: Path
    trials: Path
    results: Path


class NotSavedError(CommandError):
    """A folder took no report. `kept` is where its figures are instead; None: nowhere."""

    def __init__(self, message: str, kept: Path | None) -> None:
        super().__init__(message if kept is None else f"{message}; its figures are kept in {kept}")
        self.kept = kept


def make(folder: Path) -> None:
    """Make `folder` where it is not there. Raises `CommandError` unless it can be written in."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"cannot make {folder}: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CommandError(f"cannot write in {folder}: name another folder")


def save(report: LinktestReport, folder: Path) -> Saved:
    """Write the report into `folder`, made where it is not there. Raises `NotSavedError`."""
    try:
        make(folder)
        saved = next(_free_names(folder))
        data = results.encode(report)
        contents = {
            saved.json: data,
            saved.trials: report_csv.trials(report).encode(),
            saved.results: report_csv.results(report).encode(),
            saved.html: report_html.render(data, saved.json).encode(),
        }
        for path, content in contents.items():
            _write(path, content)
    except CommandError as error:
        raise NotSavedError(str(error), _save_elsewhere(report)) from None
    except OSError as error:
        text = f"cannot save the report in {folder}: {error.strerror}"
        raise NotSavedError(text, _save_elsewhere(report)) from None
    return saved


def _save_elsewhere(report: LinktestReport) -> Path | None:
    """Keep the figures of a report whose folder failed, from which its page can be made again.

    Where engines keep theirs, or in the folder for temporary files; None where neither takes it.
    """
    data = results.encode(report)
    for folder in (*rundirs.existing(), Path(tempfile.gettempdir())):
        with suppress(OSError):
            number, name = tempfile.mkstemp(".json", "linktest-report-", folder)
            os.close(number)
            try:
                Path(name).write_bytes(data)
            except OSError:
                Path(name).unlink()
                raise
            return Path(name)
    return None


def _free_names(folder: Path) -> Iterator[Saved]:
    """Names of which none is taken: report.json, report-2.json and so on."""
    for number in count(1):
        suffix = f"-{number}" if number > 1 else ""
        names = Saved(
            json=folder / f"report{suffix}.json",
            html=folder / f"report{suffix}.html",
            trials=folder / f"trials{suffix}.csv",
            results=folder / f"results{suffix}.csv",
        )
        if not any(path.exists() for path in (names.json, names.html, names.trials, names.results)):
            yield names


def _write(path: Path, data: bytes) -> None:
    """Write a new file whole, or leave none: half a report must not pass for one."""
    with path.open("xb", buffering=0) as file:
        try:
            left = memoryview(data)
            while left:
                left = left[file.write(left) :]
        except OSError:
            path.unlink()
            raise
