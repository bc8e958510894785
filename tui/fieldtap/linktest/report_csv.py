"""A report's tables as CSV (RFC 4180): values as they are in the JSON, headings its field names."""

import csv
import io
from collections.abc import Iterable, Sequence

from fieldtap.linktest import report_tables
from fieldtap.linktest.report_tables import Table, Value
from fieldtap.linktest.results import LinktestReport

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def trials(report: LinktestReport) -> str:
    """Return every trial, a line a flow; times are nanoseconds UTC."""
    table = report_tables.trials(report)
    return _written([column.key for column in table.columns], table.rows)


def results(report: LinktestReport) -> str:
    """Return all results below each other; `part` names the part of the test that a line is of."""
    tables = report_tables.results(report)
    keys = list(dict.fromkeys(column.key for table in tables for column in table.columns))
    rows = [row for table in tables for row in _wide(table, keys)]
    return _written(["part", *keys], rows)


def _wide(table: Table, keys: Iterable[str]) -> Iterable[list[Value]]:
    for row in table.rows:
        values = dict(zip((column.key for column in table.columns), row, strict=True))
        yield [table.key, *(values.get(key) for key in keys)]


def _written(heading: list[str], rows: Iterable[Sequence[Value]]) -> str:
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(heading)
    writer.writerows([_field(value) for value in row] for row in rows)
    return written.getvalue()


def _field(value: Value) -> Value:
    """A text that a spreadsheet would take for a formula is kept from being one by a quote."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA_STARTS) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    return value
