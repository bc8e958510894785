"""A real device under test: a Linux bridge whose way out is a token bucket (tc-tbf(8))."""

import base64
import csv
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from chromium import Page, open_page, print_page
from fieldlab import Json, Lab, lab, program, tool

FRAME_BYTES = 512
FCS_BYTES = 4
RATE_BPS = 10_000_000
BUCKET_BYTES = 125_000
QUEUE_BYTES = 125_000
"""Together 200 ms of the rate: a busy machine sends in bursts, which are not to be lost here."""

PRECISION = 0.01
FINAL_TRIAL_S = 5.0
"""Of short mode: what the bucket and its queue let through besides, they do once in this time."""

TIMEOUT_S = 240
A4_POINTS = (595, 842)

TESTER_IN, TESTER_OUT = "ft-left", "ft-out"


def put_bridge_between(link: Lab) -> None:
    """Join the far end of the link to a second one back, over a bridge that limits the rate."""
    ip, far = tool("ip"), link.right
    veth = ("type", "veth", "peer", "name", TESTER_OUT, "netns", link.left.namespace)
    far.run(ip, "link", "add", "ft-behind", *veth)
    far.run(ip, "link", "add", "ft-bridge", "type", "bridge", "stp_state", "0")
    for port in (far.port, "ft-behind"):
        far.run(ip, "link", "set", port, "master", "ft-bridge", "up")
    far.run(ip, "link", "set", "ft-bridge", "up")
    link.left.run(ip, "link", "set", TESTER_OUT, "up")
    bucket = ("rate", f"{RATE_BPS}bit", "burst", str(BUCKET_BYTES), "limit", str(QUEUE_BYTES))
    far.run(tool("tc"), "qdisc", "add", "dev", "ft-behind", "root", "tbf", *bucket)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a link test by RFC 2544 through the bridge, in short mode."""
    base = tmp_path_factory.mktemp("linktest")
    out, run_dir = base / "out", base / "run"
    run_dir.mkdir()
    options = ("--short", "--sizes", str(FRAME_BYTES), "--precision", f"{PRECISION:%}")
    about = ("--customer", "Müller & Söhne <AG>", "--site", "rack 7", "--out", str(out))
    with lab() as link:
        put_bridge_between(link)
        command = [program("fieldtap"), "linktest", "throughput", TESTER_IN, TESTER_OUT]
        done = subprocess.run(
            link.left.command(*command, *options, *about),
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
            env=os.environ
            | {
                "FIELDTAP_RUN_DIR": str(run_dir),
                "FIELDTAP_BIN_DIR": str(Path(program("ft-generate")).parent),
            },
        )
    assert done.returncode == 0, done.stderr
    assert "verdict   ● measured" in done.stdout
    return out


@pytest.fixture
def report(folder: Path) -> Json:
    read: Json = json.loads((folder / "report.json").read_text())
    return read


def figures(item: Json) -> dict[str, float]:
    """The numbers of a result."""
    return {key: value for key, value in item.items() if type(value) in (int, float)}


def test_the_rate_of_a_token_bucket_is_found(report: Json) -> None:
    (found,) = report["throughput"]
    bucket_bits = 8 * (FRAME_BYTES - FCS_BYTES)  # it counts the Ethernet header, and no FCS
    rate_pps = RATE_BPS / bucket_bits
    besides_pps = 8 * (BUCKET_BYTES + QUEUE_BYTES) / bucket_bits / FINAL_TRIAL_S
    assert rate_pps * (1 - PRECISION) <= found["rate_pps"] <= rate_pps + besides_pps
    assert found["upper_pps"] >= rate_pps
    assert found["upper_pps"] - found["rate_pps"] <= PRECISION * found["upper_pps"]


def test_a_browser_shows_the_figures_of_the_json_without_a_network(
    folder: Path, report: Json
) -> None:
    page = open_page(folder / "report.html")
    assert page.console == []
    (found,), (shown,) = report["throughput"], page.tables["throughput"]
    assert {key: float(shown[key]) for key in figures(found)} == figures(found)
    assert [row["valid"] for row in page.tables["trials"]] == [
        "yes" if trial["valid"] else "no" for trial in report["trials"] for _ in trial["flows"]
    ]
    for trial, row in zip(report["trials"], page.tables["trials"], strict=True):
        counts = figures(trial["flows"][0])
        counts = {key: counts[key] for key in counts.keys() & row.keys()}
        assert {key: float(row[key]) for key in counts} == counts
        assert counts.keys() >= {"offered", "sent", "received", "lost", "receiver_dropped"}
    assert report["occasion"]["customer"] in page.text


def test_the_page_carries_the_json_that_it_was_made_from(folder: Path) -> None:
    (link,) = Page((folder / "report.html").read_text(), []).links
    _, _, embedded = link.partition(";base64,")
    assert base64.b64decode(embedded) == (folder / "report.json").read_bytes()


def test_the_page_prints_on_a4(folder: Path, tmp_path: Path) -> None:
    print_page(folder / "report.html", tmp_path / "report.pdf")
    boxes = re.findall(
        rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", (tmp_path / "report.pdf").read_bytes()
    )
    sizes = {(round(float(width)), round(float(height))) for width, height in boxes}
    assert sizes == {A4_POINTS, A4_POINTS[::-1]}, "upright, and across for the raw trials"


def test_csv_has_the_figures_of_the_json(folder: Path, report: Json) -> None:
    with (folder / "results.csv").open(newline="") as file:
        (line,) = csv.DictReader(file)
    (found,) = report["throughput"]
    assert {key: float(line[key]) for key in figures(found)} == figures(found)
    with (folder / "trials.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    counts = ("offered", "sent", "received", "lost", "receiver_dropped", "reordered")
    flows = [flow for trial in report["trials"] for flow in trial["flows"]]
    assert [[int(line[key]) for key in counts] for line in lines] == [
        [flow[key] for key in counts] for flow in flows
    ]
    assert [int(line["started_ns"]) for line in lines] == [
        trial["started_ns"] for trial in report["trials"] for _ in trial["flows"]
    ]


def test_what_short_mode_left_out_is_in_the_report(report: Json) -> None:
    said = [deviation["done"] for deviation in report["standard"]["deviations"]]
    assert any("Short mode" in text or "In short mode" in text for text in said)
    used = {wait["purpose"]: wait["used_s"] for wait in report["standard"]["waits"]}
    assert used["final trial of a throughput"] == FINAL_TRIAL_S
