"""`fieldtap check` as a user runs it, on real ports: bridges, bundles, pages, floods."""

import base64
import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fieldlab import CHECKOUT, End, Json, lab

BIN_DIR = os.environ.get("FIELDTAP_BIN_DIR") or str(CHECKOUT / "build/bin")


@pytest.fixture
def near() -> Iterator[End]:
    with lab(together=True) as made:
        yield made.left


def run_check(end: End, tmp_path: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `fieldtap check` at one end, with folders of the test's own."""
    environment = (
        f"FIELDTAP_BIN_DIR={BIN_DIR}",
        f"FIELDTAP_RUN_DIR={tmp_path}",
        f"FIELDTAP_STATE_DIR={tmp_path}",
    )
    command = ("env", *environment, sys.executable, "-m", "fieldtap", "check", *options)
    done = end.run(*command, check=False, timeout_s=240)
    assert "Traceback" not in done.stderr
    return done


def check(end: End, tmp_path: Path, *options: str | Path) -> tuple[int, str]:
    """Exit code and output of `fieldtap check`."""
    done = run_check(end, tmp_path, *options)
    return done.returncode, done.stdout or done.stderr


def report(end: End, tmp_path: Path, *options: str | Path) -> Json:
    code, output = check(end, tmp_path, *options, "--dir", tmp_path, "--json")
    found: Json = json.loads(output)
    assert code == (3 if found["verdict"] == "fail" else 0)
    return found


def one(found: Json, identifier: str, subject: str) -> Json:
    (check,) = (
        entry
        for entry in found["checks"]
        if (entry["id"], entry["subject"]) == (identifier, subject)
    )
    return dict(check)


def test_a_port_in_a_bridge_fails_and_out_of_it_is_ok(near: End, tmp_path: Path) -> None:
    def verdict() -> str:
        return str(one(report(near, tmp_path, "ft-left"), "port.silent", "ft-left")["verdict"])

    assert verdict() == "ok"
    near.run("ip", "link", "add", "ftbr", "type", "bridge")
    near.run("ip", "link", "set", "dev", "ft-left", "master", "ftbr")
    assert verdict() == "fail"
    near.run("ip", "link", "set", "dev", "ft-left", "nomaster")
    assert verdict() == "ok"


def test_space_agrees_with_df(near: End, tmp_path: Path) -> None:
    df = ("df", "-B1", "--output=size,avail", tmp_path)
    before = subprocess.run(df, check=True, capture_output=True, text=True).stdout.split()[2:]
    space = one(report(near, tmp_path, "ft-left"), "storage.space", str(tmp_path))["evidence"]
    after = subprocess.run(df, check=True, capture_output=True, text=True).stdout.split()[2:]
    assert str(space["size_bytes"]) == before[0] == after[0]
    low, high = sorted((int(before[1]), int(after[1])))
    slack = 64 << 20  # others write to this disk, too
    assert low - slack <= space["available_bytes"] <= high + slack


def test_every_warning_and_failure_names_a_remedy(near: End, tmp_path: Path) -> None:
    checks = report(near, tmp_path)["checks"]
    assert [c["id"] for c in checks if c["verdict"] in ("warn", "fail") and not c["remedy"]] == []


def test_a_bundle_gives_the_same_verdicts_elsewhere(near: End, tmp_path: Path) -> None:
    near.run("ip", "address", "add", "10.98.76.54/24", "dev", "ft-left")
    bundle = tmp_path / "machine.tar.gz"
    here = report(near, tmp_path, "ft-left", "ft-right", "--bundle", bundle)
    code, output = check(near, tmp_path, "--from", bundle, "--json")
    there: Json = json.loads(output)
    assert [(c["id"], c["verdict"]) for c in there["checks"]] == [
        (c["id"], c["verdict"]) for c in here["checks"]
    ]
    assert (code == 3) == (here["verdict"] == "fail")
    text = gzip.decompress(bundle.read_bytes()).decode(errors="replace")
    assert "10.98.76.54" not in text
    assert (Path("/sys/class/net/lo/address").read_text().strip()) not in text


@pytest.mark.parametrize("content", [b"", b"no bundle", gzip.compress(b"no tar")])
def test_what_is_no_bundle_is_said_in_one_line(near: End, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bundle").write_bytes(content)
    code, words = check(near, tmp_path, "--from", tmp_path / "bundle")
    assert (code, len(words.splitlines())) == (2, 1)


class Page(HTMLParser):
    """What a page has of tags, links and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_holds_every_check_and_nothing_from_elsewhere(near: End, tmp_path: Path) -> None:
    path = tmp_path / "check.html"
    found = report(near, tmp_path, "ft-left", "--html", path)
    page = Page(path.read_text())
    assert all(c["id"] in page.text and c["summary"] in page.text for c in found["checks"])
    assert not {"script", "img", "link", "iframe"} & set(page.tags)
    (link,) = page.links
    embedded = base64.b64decode(link.removeprefix("data:application/json;base64,"))
    assert json.loads(embedded) == found
    assert re.search(r"url\(|@import", path.read_text()) is None


def test_a_flood_over_a_virtual_cable_is_told_and_is_no_ceiling(near: End, tmp_path: Path) -> None:
    found = report(near, tmp_path, "ft-left", "ft-right", "--measure", "--write", "1MB")
    for port, other in (("ft-left", "ft-right"), ("ft-right", "ft-left")):
        loop = one(found, "port.loop", port)
        assert (loop["verdict"], loop["evidence"]["sender"]) == ("not_applicable", other)
        assert loop["evidence"]["tried_pps_64_byte_frames"]
        assert one(found, "port.pcie", port)["verdict"] == "not_applicable"
    assert json.loads((tmp_path / "measured.json").read_text())["ceilings"] == {}


def test_a_named_port_that_the_host_uses_is_left_out_and_that_is_said(
    near: End, tmp_path: Path
) -> None:
    near.run("ip", "address", "add", "10.98.76.54/24", "dev", "ft-left")
    done = run_check(near, tmp_path, "ft-left", "ft-right", "--measure", "--write", "1MB")
    words = "leaving out ft-left: the host has an address on it, 10.98.76.54/24"
    assert f"fieldtap: {words}\n" in done.stderr
    assert "flooding" not in done.stderr


def test_a_port_named_twice_is_judged_once(near: End, tmp_path: Path) -> None:
    found = report(near, tmp_path, "ft-left", "ft-left")
    one(found, "port.link", "ft-left")


def test_a_directory_that_is_not_there_fails_and_is_asked_nothing_more(
    near: End, tmp_path: Path
) -> None:
    missing = tmp_path / "nowhere"
    code, output = check(near, tmp_path, "ft-left", "--dir", missing, "--json")
    checks = [entry for entry in json.loads(output)["checks"] if entry["subject"] == str(missing)]
    assert code == 3
    assert [(entry["id"], entry["verdict"]) for entry in checks] == [("storage.space", "fail")]


def test_without_any_port_it_fails_and_says_so(near: End, tmp_path: Path) -> None:
    near.run("ip", "link", "del", "ft-left")
    missing = one(report(near, tmp_path), "machine.ports", "machine")
    assert (missing["verdict"], missing["summary"]) == ("fail", "has no port to capture from")
    listed = near.run(sys.executable, "-m", "fieldtap", "ports").stdout
    assert listed == "no port is here: `fieldtap check` says what to do\n"


def test_a_directory_of_any_name_is_judged_and_bundled(near: End, tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff[red]"))
    odd.mkdir()
    bundle = tmp_path / "machine.tar.gz"
    code, output = check(near, tmp_path, "ft-left", "--dir", odd, "--bundle", bundle, "--json")
    assert code in (0, 3)
    one(json.loads(output), "storage.space", f"{tmp_path}/\N{REPLACEMENT CHARACTER}[red]")
    assert "[red]" in check(near, tmp_path, "ft-left", "--dir", odd)[1]


@pytest.mark.parametrize(
    "other", [("--from", "x.tar.gz"), ("--explain", "pmc", "x.txt"), ("--catalogue", "x.toml")]
)
def test_what_reads_something_else_refuses_options_of_this_machine(
    near: End, tmp_path: Path, other: tuple[str, ...]
) -> None:
    for option in (["ft-left"], ["--measure"], ["--bundle", tmp_path / "x"], ["--dir", tmp_path]):
        done = run_check(near, tmp_path, *other, *option)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"fieldtap: {other[0]} does not read this machine")
    assert run_check(near, tmp_path, *other, "--from", "y", "--catalogue", "z").returncode == 2


def test_a_page_of_a_recorded_output_is_refused(near: End, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = run_check(near, tmp_path, "--explain", "pmc", "/dev/null", "--html", page)
    assert (done.returncode, page.exists()) == (2, False)


def test_a_size_to_write_without_measuring_is_refused(near: End, tmp_path: Path) -> None:
    done = run_check(near, tmp_path, "ft-left", "--write", "1MB")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("fieldtap: --write says how much --measure writes")


def test_without_names_no_port_is_flooded(near: End, tmp_path: Path) -> None:
    found = report(near, tmp_path, "--measure", "--write", "1MB")
    assert [c for c in found["checks"] if c["id"] == "port.loop"] == []
    sends = one(found, "port.sends", "ft-left")
    assert sends["evidence"]["sent_frames"] == 0
