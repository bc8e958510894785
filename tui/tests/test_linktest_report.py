"""A link test's report: the same figures in every form, safe to open, and never lost."""

import base64
import csv
import hashlib
import io
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import chromium
import pytest
from chromium import Page
from fieldlab import LabError
from fieldtap.command_line import run
from fieldtap.linktest import (
    report_cli,
    report_csv,
    report_folder,
    report_html,
    report_tables,
    report_terminal,
    results,
)
from fieldtap.linktest.report_folder import Saved
from fieldtap.linktest.results import LinktestReport
from fieldtap_core.errors import EngineError
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

FROZEN = Path(__file__).parents[2] / "build/frozen/fieldtap/fieldtap"
MakeReport = Callable[[str], LinktestReport]

HOSTILE = (
    "</script></style><script>alert(1)</script><img src=x onerror=alert(2)>\"'&<!--{{7*7}}{%if%}"
    "]]></svg>\u202e\U0001f4a9[bold]\x1b[2J"
)
INERT = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "section", "h1", "h2"),
    *("h3", "p", "strong", "ul", "li", "dl", "dt", "dd", "time", "a", "code", "div", "table"),
    *("thead", "tbody", "tr", "th", "td", "data", "figure", "figcaption", "svg", "defs", "g"),
    *("rect", "path", "line", "circle", "text", "tspan", "desc"),
}


@pytest.fixture
def saved(make_report: MakeReport, tmp_path: Path) -> Saved:
    return report_folder.save(make_report("core uplink"), tmp_path / "out")


def page_of(report: LinktestReport) -> str:
    return report_html.render(results.encode(report), Path("report.json"))


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def shown_fields(columns: Iterable[report_tables.Column]) -> set[str]:
    return {column.key for column in columns}


@pytest.mark.parametrize(
    ("columns", "struct", "elsewhere"),
    [
        (report_tables.THROUGHPUT, results.ThroughputResult, {"trials"}),
        (report_tables.LATENCY, results.LatencyResult, {"trials"}),
        (report_tables.LOSS_POINT, results.LossPoint, set()),
        (report_tables.BACK_TO_BACK, results.BackToBackResult, {"trials"}),
        (report_tables.RECOVERY, results.RecoveryResult, {"trials"}),
        (report_tables.SERVICE, results.Service, set()),
        (report_tables.FIGURES, results.ServiceFigures, set()),
        (report_tables.SOAK, results.SoakResult, {"trials", "course", "losses", "outages"}),
        (report_tables.INTERVAL, results.SoakRecord, set()),
        (report_tables.OUTAGE, results.Outage, set()),
    ],
)
def test_every_figure_of_the_json_is_in_a_table(
    columns: tuple[report_tables.Column, ...], struct: type[Struct], elsewhere: set[str]
) -> None:
    assert shown_fields(columns) == set(struct.__struct_fields__) - elsewhere


def test_the_page_carries_the_json_byte_for_byte_and_its_sum(saved: Saved) -> None:
    page = Page(saved.html.read_text(), [])
    (link,) = page.links
    embedded = base64.b64decode(link.removeprefix("data:application/json;base64,"))
    assert embedded == saved.json.read_bytes()
    assert hashlib.sha256(embedded).hexdigest() in page.text


def test_page_and_csv_have_the_figures_of_the_json(saved: Saved) -> None:
    report: dict[str, Any] = json.loads(saved.json.read_text())
    page = Page(saved.html.read_text(), [])
    lines = rows_of(saved.results.read_text())
    for part in ("throughput", "latency", "back_to_back", "recovery"):
        in_csv = [line for line in lines if line["part"] == part]
        assert len(report[part]) == len(page.tables[part]) == len(in_csv)
        for found, shown, line in zip(report[part], page.tables[part], in_csv, strict=True):
            figures = {
                key: value
                for key, value in found.items()
                if isinstance(value, int | float) and not isinstance(value, bool)
            }
            assert {key: float(shown[key]) for key in figures} == figures
            assert {key: float(line[key]) for key in figures} == figures


def test_every_flow_of_every_trial_is_in_page_and_csv(saved: Saved) -> None:
    report: dict[str, Any] = json.loads(saved.json.read_text())
    page, lines = Page(saved.html.read_text(), []), rows_of(saved.trials.read_text())
    first, failed = report["trials"]
    (flow,) = first["flows"]
    counts = {key: flow[key] for key in ("offered", "sent", "received", "lost", "duplicate")}
    assert {key: int(page.tables["trials"][0][key]) for key in counts} == counts
    assert {key: int(lines[0][key]) for key in counts} == counts
    assert lines[0]["p999"] == str(flow["latency_ns"]["p999"])
    assert lines[1]["valid"] == "false"
    assert page.tables["trials"][1]["invalid_reason"] == failed["invalid_reason"]


def test_a_part_that_was_not_run_is_not_mentioned(make_report: MakeReport) -> None:
    report = make_report("x")
    short = LinktestReport(
        **{
            name: getattr(report, name)
            for name in ("ports", "host", "versions", "started_ns", "stopped_ns", "throughput")
        },
        test="rfc2544",
        standard=None,
        settings={},
        interrupted=True,
        verdict="measured",
        reasons=(),
    )
    page = Page(page_of(short), [])
    assert set(page.tables) == {"throughput", "ports", "tester", "trials"}
    assert "interrupted" in page.text


def test_text_from_outside_is_shown_as_it_is_and_does_nothing(make_report: MakeReport) -> None:
    html = page_of(make_report(HOSTILE))
    page = Page(html, [])
    assert set(page.tags) <= INERT
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert page.tables["deviations"][0]["done"] == HOSTILE
    assert page.tables["trials"][0]["name"] == HOSTILE


def test_a_browser_finds_nothing_to_run_in_hostile_text(
    make_report: MakeReport, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_text(page_of(make_report(HOSTILE)))
    try:
        page = chromium.open_page(path)
    except LabError as error:
        pytest.skip(str(error))
    assert set(page.tags) <= INERT | {"html", "tbody"}
    assert page.console == []
    assert page.tables["trials"][0]["name"] == HOSTILE


def test_a_page_needs_nothing_from_elsewhere(make_report: MakeReport) -> None:
    html = page_of(make_report("x"))
    page = Page(html, [])
    loading = {"src", "srcset", "action", "poster", "data", "background"}
    assert not [name for name, _ in page.attributes if name in loading]
    assert [link for link in page.links if not link.startswith("data:")] == []
    assert not re.search(r"@import|url\(", html)


def test_no_cell_is_a_formula_to_a_spreadsheet(make_report: MakeReport) -> None:
    for start in ("=1+1", "+1", "-1", "@SUM(1)", "\t=1"):
        line = rows_of(report_csv.trials(make_report(start)))[0]
        assert line["name"] == f"'{start}"


def test_a_terminal_gets_text_from_outside_without_its_controls(
    make_report: MakeReport, capsys: pytest.CaptureFixture[str]
) -> None:
    report_terminal.print_report(make_report(HOSTILE))
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "[bold]" in printed


def test_a_terminal_of_80_columns_shows_every_figure_whole(
    make_report: MakeReport, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    report = make_report("eth2")
    limits = {"flr_max": 0.001, "ftd_max_ns": 20_000_000, "fdv_max_ns": 2_000_000}
    (tested,) = report.services
    service = replace(tested.service, avail_min=0.999, vlan_id=100, **limits)
    report = replace(report, services=(replace(tested, service=service),))
    report_terminal.print_report(report)
    printed = capsys.readouterr().out
    for table in report_tables.results(report):
        if table.key not in report_terminal.FOR_FILES_ONLY:
            brief = table.filled().brief()
            shown = zip(brief.columns * len(brief.rows), chain(*brief.rows), strict=True)
            figures = [(column, value) for column, value in shown if not isinstance(value, str)]
            assert [c.label for c, value in figures if c.text(value) not in printed] == []
    assert printed.index("Deviations") < printed.index("Throughput")
    assert printed.splitlines()[1] == "RFC 2544 benchmark, eth2 to eth3"


def test_an_earlier_report_is_never_overwritten(make_report: MakeReport, tmp_path: Path) -> None:
    (tmp_path / "trials.csv").write_text("somebody's")
    first = report_folder.save(make_report("first"), tmp_path)
    second = report_folder.save(make_report("second"), tmp_path)
    assert (first.json.name, second.html.name) == ("report-2.json", "report-3.html")
    assert results.read(first.json).occasion.customer == "first"
    assert (tmp_path / "trials.csv").read_text() == "somebody's"


def test_an_old_report_is_shown_and_made_into_a_page_anew(
    saved: Saved, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = tmp_path / "again.html"
    assert run(["linktest", "report", str(saved.json), "--html", str(again)]) == 0
    assert again.read_text() == saved.html.read_text()
    assert run(["linktest", "report", str(saved.json)]) == 0
    assert "4,960,317.5" in capsys.readouterr().out
    assert run(["linktest", "report", str(saved.json), "--html", str(again)]) == 1
    assert run(["linktest", "report", str(tmp_path / "none.json")]) == 1
    assert all(len(line) for line in capsys.readouterr().err.splitlines())


def test_the_frozen_console_has_templates_and_plots(saved: Saved, tmp_path: Path) -> None:
    if not os.access(FROZEN, os.X_OK):
        pytest.skip("the console is not frozen: run `make freeze`")
    page = tmp_path / "page.html"
    command: list[str | Path] = [FROZEN, "linktest", "report", saved.json, "--html", page]
    subprocess.run(command, check=True, env={}, timeout=60)
    shown = Page(page.read_text(), [])
    assert shown.tables["throughput"][0]["rate_pps"] == "4960317.46031746"
    assert shown.tags.count("svg") == Page(saved.html.read_text(), []).tags.count("svg")


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 2**63, 10**18, -(10**18), 1e300, 1e-300, [], ""]),
    st.text(),
)
Leaf = str | float | list[str] | None
Json = dict[str, "Json"] | list["Json"] | Leaf


def replaced(value: Json, path: list[int], leaf: Leaf) -> Json:
    """The value with one leaf exchanged, found by turning at each level as `path` says."""
    turn, rest = path[0], path[1:] + path[:1]
    if isinstance(value, dict) and value:
        key = sorted(value)[turn % len(value)]
        return value | {key: replaced(value[key], rest, leaf)}
    if isinstance(value, list) and value:
        index = turn % len(value)
        return [*value[:index], replaced(value[index], rest, leaf), *value[index + 1 :]]
    return leaf


@settings(max_examples=150, deadline=None)
@given(path=st.lists(st.integers(0, 100), min_size=8, max_size=8), leaf=LEAVES)
def test_a_report_from_elsewhere_is_refused_in_a_sentence_or_shown(
    make_report: MakeReport, path: list[int], leaf: Leaf
) -> None:
    good = json.loads(results.encode(make_report("x")))
    data = json.dumps(replaced(good, path, leaf)).encode()
    try:
        report = results.decode(data, Path("report.json"))
    except EngineError:
        return
    assert set(Page(page_of(report), []).tags) <= INERT
    assert rows_of(report_csv.trials(report)) or not report.trials


def test_a_report_that_its_folder_does_not_take_is_kept_elsewhere(
    make_report: MakeReport, tmp_path: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("no folder")
    report = make_report("core uplink")
    with pytest.raises(report_folder.NotSavedError, match="figures are kept in") as caught:
        report_cli.deliver(report, tmp_path / "out", as_json=False)
    (kept,) = run_dir.iterdir()
    assert caught.value.kept == kept
    assert results.read(kept) == report
    assert "fieldtap.linktest-report/1" not in capsys.readouterr().out


def test_a_folder_is_no_report_and_the_file_in_it_is_named(
    saved: Saved, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["linktest", "report", str(saved.json.parent)]) == 2
    assert str(saved.json) in capsys.readouterr().err
