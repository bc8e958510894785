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
    found = [*report_tables.results(report), *report_tables.deviations(report)]
    for table in found:
        if table.key not in FOR_FILES_ONLY:
            console.print(Text(f"\n{table.title}", style="bold"))
            console.print(_grid(table.filled()))
    console.print(verdict(report))


def verdict(report: LinktestReport) -> Text:
    """The verdict and its reasons."""
    text = Text("verdict ").append(tables.verdict_text(report.verdict))
    for reason in report.reasons:
        text.append(f"\n    {reason}")
    return text


def _grid(table: Table) -> RichTable:
    """Numbers stand whole and to the right; words are folded where there is no room."""
    grid = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(table.columns):
        numbers = all(isinstance(row[index], int | float | None) for row in table.rows)
        grid.add_column(
            column.label,
            overflow="fold",
            no_wrap=numbers,
            justify="right" if numbers else "left",
        )
    for row in table.rows:
        grid.add_row(*map(_cell, table.columns, row))
    return grid


def _cell(column: Column, value: Value) -> Text:
    text = column.text(value)
    return tables.verdict_text(text) if column.key == "verdict" else Text(text)
