"""A report as files in a folder. What is there already is never touched: a new name is found."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

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


def make(folder: Path) -> None:
    """Make `folder` where it is not there. Raises `CommandError` unless it can be written in."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"cannot make {folder}: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CommandError(f"cannot write in {folder}: name another folder")


def save(report: LinktestReport, folder: Path) -> Saved:
    """Write the report into `folder`, made where it is not there. Raises `CommandError`."""
    make(folder)
    try:
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
    except OSError as error:
        raise CommandError(f"cannot save the report in {folder}: {error.strerror}") from None
    return saved


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
