"""A report on a terminal: the verdict, what was found, and where the test left its standard."""

import sys

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from fieldtap import tables
from fieldtap.linktest import report_tables
from fieldtap.linktest.report_tables import Column, Table, Value
from fieldtap.linktest.results import LinktestReport

FOR_FILES_ONLY = ("course",)


def print_report(report: LinktestReport) -> None:
    """Print the report in short; its raw trials are in the files."""
    console = Console(file=sys.stdout, markup=False, highlight=False, emoji=False)
    console.print(_heading(report))
    found = [*report_tables.deviations(report), *report_tables.results(report)]
    for table in found:
        if table.key not in FOR_FILES_ONLY:
            console.print(Text(f"\n{table.title}", style="bold"))
            _print_whole(console, _grid(table.filled().brief()))
    console.print(verdict(report))


def _heading(report: LinktestReport) -> Text:
    """What was tested, when, and for whom: an old report says no less than its page."""
    began, ended = report_tables.utc(report.started_ns), report_tables.utc(report.stopped_ns)
    text = Text(f"\n{report_tables.TITLES[report.test]}, ", style="bold")
    text.append(printable(report_tables.between(report)))
    text.append(f"\n{began} to {ended}", style="not bold")
    for name, said in report_tables.occasion(report):
        text.append(f"\n{name} {printable(said)}", style="not bold")
    return text


def _print_whole(console: Console, grid: RichTable) -> None:
    """Print no figure cut: closer together, and at last wider than the terminal."""
    need = grid.__rich_measure__(console, console.options).minimum
    if need > console.width:
        grid.padding = (0, 0, 0, 0)
        need = grid.__rich_measure__(console, console.options).minimum
    console.print(grid, width=max(need, console.width), crop=False, no_wrap=False)


def verdict(report: LinktestReport) -> Text:
    """The verdict and its reasons."""
    text = Text("verdict ").append(tables.verdict_text(report.verdict))
    for reason in report.reasons:
        text.append(f"\n    {printable(reason)}")
    return text


def _grid(table: Table) -> RichTable:
    """Numbers stand whole and to the right; headings and words fold where there is no room."""
    grid = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for index, column in enumerate(table.columns):
        values = [row[index] for row in table.rows]
        numbers = all(isinstance(value, int | float | None) for value in values)
        longest = max(len(_cell(column, value)) for value in values)
        grid.add_column(
            column.label,
            overflow="fold",
            min_width=longest if numbers or column.key == "verdict" else None,
            justify="right" if numbers else "left",
        )
    for row in table.rows:
        grid.add_row(*map(_cell, table.columns, row))
    return grid


def printable(text: str) -> str:
    """The text without what would steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _cell(column: Column, value: Value) -> Text:
    text = printable(column.text(value))
    return tables.verdict_text(text) if column.key == "verdict" else Text(text)
