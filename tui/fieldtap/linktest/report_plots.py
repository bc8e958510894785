"""The plots of a report, as static SVG by pygal: nothing in them runs, loads or needs a network.

Colours are variables of the page, so that a plot follows its light and dark look; lines differ by
their dashes too, for print without colour.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import ceil, floor, log10
from xml.etree.ElementTree import Element

import pygal
from pygal.style import Style

from fieldtap.linktest.results import (
    BackToBackResult,
    LatencyResult,
    LinktestReport,
    LossResult,
    ServiceResult,
    SoakResult,
    ThroughputResult,
)

SERIES_COLOURS = 7  # --series-0 and on, in the page's style
DASHES = ("", "7, 4", "2, 4", "10, 3, 2, 3")
STYLE = Style(
    background="transparent",
    plot_background="transparent",
    foreground="var(--ink)",
    foreground_strong="var(--ink)",
    foreground_subtle="var(--rule)",
    guide_stroke_color="var(--rule)",
    major_guide_stroke_color="var(--rule)",
    colors=tuple(f"var(--series-{number})" for number in range(SERIES_COLOURS)),
    font_family="inherit",
    label_font_size=11,
    major_label_font_size=11,
    legend_font_size=12,
    title_font_size=12,
    transition="0s",
)


@dataclass(frozen=True)
class Plot:
    """A picture of the table `key`; `caption` says in words what it shows."""

    key: str
    caption: str
    svg: str


def plots(report: LinktestReport) -> tuple[Plot, ...]:
    """Return a plot for each part of the report that has one."""
    return tuple(
        chain(
            _throughput(report.throughput),
            _latency(report.latency),
            _loss(report.loss),
            _back_to_back(report.back_to_back),
            _services(report.services),
            _soak(report.soak),
        )
    )


def _throughput(found: Sequence[ThroughputResult]) -> Iterator[Plot]:
    if not found:
        return
    chart = _xy("throughput", "frame size, B", "frames/s")
    chart.x_labels = [result.frame_bytes for result in found]
    lines = {
        "theoretical": [(result.frame_bytes, result.line_pps) for result in found],
        "measured": [(result.frame_bytes, result.rate_pps or 0.0) for result in found],
    }
    caption = "Throughput against frame size, and the theoretical maximum of the line."
    yield _drawn(chart, lines, caption)


def _latency(found: Iterable[LatencyResult]) -> Iterator[Plot]:
    measured = [result for result in found if result.p50_ns and result.p50_ns > 0]
    if not measured:
        return
    chart = pygal.Line(**_settings("latency", "frame size, B", "microseconds"), logarithmic=True)
    chart.x_labels = [str(result.frame_bytes) for result in measured]
    percentiles = {
        "max": [result.max_ns for result in measured],
        "99.9 %": [result.p999_ns for result in measured],
        "99 %": [result.p99_ns for result in measured],
        "50 %": [result.p50_ns for result in measured],
        "min": [result.min_ns for result in measured],
    }
    lines = {
        name: [ns / 1000 if ns and ns > 0 else None for ns in values]
        for name, values in percentiles.items()
    }
    chart.y_labels = _decades([us for values in lines.values() for us in values if us])
    caption = "Latency at the throughput, by frame size: how many frames were at least so fast."
    yield _drawn(chart, lines, caption)


def _decades(values: Sequence[float]) -> list[float]:
    """The powers of ten from below the least value to above the greatest."""
    first, last = floor(log10(min(values))), ceil(log10(max(values)))
    return [10.0**power for power in range(first, last + 1)]


def _loss(results: Iterable[LossResult]) -> Iterator[Plot]:
    found = [result for result in results if result.points]
    if not found:
        return
    chart = _xy("loss", "load, % of line", "frames lost, %")
    chart.xrange = (0, max(point.percent_of_line for result in found for point in result.points))
    lines = {
        f"{result.frame_bytes} B": [
            (point.percent_of_line, point.loss_percent) for point in reversed(result.points)
        ]
        for result in found
    }
    yield _drawn(chart, lines, "Share of the frames lost against the load, by frame size.")


def _back_to_back(found: Iterable[BackToBackResult]) -> Iterator[Plot]:
    measured = [
        result
        for result in found
        if None not in (result.mean_frames, result.min_frames, result.max_frames)
    ]
    if not measured:
        return
    chart = pygal.Bar(**_settings("back_to_back", "frame size, B", "frames"), include_x_axis=True)
    chart.x_labels = [str(result.frame_bytes) for result in measured]
    bars = [
        {"value": result.mean_frames, "ci": {"low": result.min_frames, "high": result.max_frames}}
        for result in measured
    ]
    caption = "Longest burst without loss: mean, with the shortest and longest of all repetitions."
    yield _drawn(chart, {"mean burst": bars}, caption)


def _services(found: Iterable[ServiceResult]) -> Iterator[Plot]:
    seen = [
        (f"{result.service.name} {step.step} {figures.direction}", figures)
        for result in found
        for step in result.configuration
        for figures in step.figures
    ]
    if not seen:
        return
    settings = _settings("steps", "", "bit/s")
    chart = pygal.Bar(**settings, include_x_axis=True, x_label_rotation=30, truncate_label=40)
    chart.x_labels = [label for label, _ in seen]
    bars = {
        "offered": [figures.offered_bps for _, figures in seen],
        "received": [figures.ir_bps for _, figures in seen],
    }
    yield _drawn(chart, bars, "What each step offered, and what was received.")


def _soak(soak: SoakResult | None) -> Iterator[Plot]:
    if soak is None or not soak.course:
        return
    chart = _xy("course", "hours since the start", "frames lost")
    start_ns = soak.course[0].from_ns
    line = [((entry.to_ns - start_ns) / 3600e9, entry.lost) for entry in soak.course]
    yield _drawn(chart, {"lost": line}, "Frames lost in each interval of the soak.")


def _settings(key: str, x_title: str, y_title: str) -> dict[str, object]:
    return {
        "classes": (key,),
        "width": 760,
        "height": 340,
        "x_title": x_title,
        "y_title": y_title,
        "style": STYLE,
        "js": (),
        "legend_at_bottom": True,
        "legend_at_bottom_columns": 5,
        "truncate_legend": -1,
        "margin_bottom": 50,
        "value_formatter": lambda value: f"{value:,.6g}" if value < 1e6 else f"{value:,.0f}",
    }


def _xy(key: str, x_title: str, y_title: str) -> pygal.XY:
    """Points on two axes that begin at 0."""
    settings = _settings(key, x_title, y_title)
    return pygal.XY(**settings, include_x_axis=True, x_value_formatter=lambda value: f"{value:g}")


def _drawn(chart: pygal.Graph, series: Mapping[str, Sequence[object]], caption: str) -> Plot:
    """Draw `series` by name; the chart's class names the plot."""
    (key,) = chart.config.classes
    for number, (name, values) in enumerate(series.items()):
        dashes = DASHES[number % len(DASHES)]
        chart.add(name, values, stroke_style={"width": 2, "dasharray": dashes})
    chart.uuid = key  # else drawn at random, and no two reports were the same

    def embed(root: Element) -> Element:
        return _embeddable(root, caption)

    chart.add_xml_filter(embed)
    return Plot(key, caption, chart.render(is_unicode=True, disable_xml_declaration=True))


def _embeddable(root: Element, caption: str) -> Element:
    """Fit for a page with other plots: no scripts, no names twice, a name to be read out."""
    for element in list(root.iter()):
        for child in list(element):
            if child.tag == "script":
                element.remove(child)
            elif child.tag == "title" and element is root:
                child.text = caption
        if element is not root:
            element.attrib.pop("id", None)
    root.set("role", "img")
    root.set("aria-label", caption)
    return root
