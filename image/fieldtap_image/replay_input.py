"""The real traffic that the boot test replays.

From a folder of captures that other people made, where there is one, else recorded here from real
programs that talk over a link made for them. Never part of the image.
"""

from __future__ import annotations

import csv
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from fieldtap_image import pcap
from fieldtap_image.commands import run
from fieldtap_image.errors import ImageError

FRAMES_MIN = 4_000
FRAME_BYTES_MIN = 14
# What a link with an MTU of 1500 carries: header and payload, and four bytes more for a VLAN tag.
FRAME_BYTES_MAX = 1_514
DOWNLOAD_BYTES = 8_000_000
RECORD_DEADLINE_S = 60.0


def corpora(source: Path) -> Path | None:
    """$FIELDTAP_CORPORA, else shared/corpora beside the checkout; None when it is not there."""
    folder = Path(os.environ.get("FIELDTAP_CORPORA") or source.parent / "shared" / "corpora")
    return folder if (folder / "MANIFEST.tsv").is_file() else None


def frames_to_replay(source: Path) -> tuple[list[bytes], str]:
    """At least FRAMES_MIN real Ethernet frames, and in words where they come from."""
    folder = corpora(source)
    return from_corpora(folder) if folder else recorded()


def fits(frame: bytes) -> bool:
    """Whether a link with an MTU of 1500 carries the frame."""
    tagged = frame[12:14] == b"\x81\x00"
    return FRAME_BYTES_MIN <= len(frame) <= FRAME_BYTES_MAX + (4 if tagged else 0)


def from_corpora(folder: Path) -> tuple[list[bytes], str]:
    """Whole captures one after the other: those with VLAN tags first, then the longest."""
    with (folder / "MANIFEST.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    clean = [
        row
        for row in rows
        if row["kind"] == "capture"
        and row["linktypes"] == str(pcap.ETHERNET)
        and row["capinfos_rc"] == row["tcpdump_rc"] == "0"
        and not row["trunc"]
    ]
    clean.sort(key=lambda row: ("vlan=" not in row["features"], -int(row["packets_capinfos"])))
    frames: list[bytes] = []
    captures = 0
    for row in clean:
        if len(frames) >= FRAMES_MIN:
            break
        more = pcap.read(folder / row["dest"])
        if all(fits(frame) for frame in more):
            frames += more
            captures += 1
    if len(frames) < FRAMES_MIN:
        raise ImageError(
            f"{folder}: only {len(frames)} frames are fit to replay, {FRAMES_MIN} are needed"
        )
    return frames, f"{captures} captures of {folder.name}"


def recorded() -> tuple[list[bytes], str]:
    """An HTTP download between two namespaces, as tcpdump saw it."""
    with (
        _lab() as (client, server),
        tempfile.TemporaryDirectory() as folder_name,
        ExitStack() as undo,
    ):
        folder = Path(folder_name)
        (folder / "payload").write_bytes(os.urandom(DOWNLOAD_BYTES))
        capture = folder / "recorded.pcap"
        in_server, in_client = _inside(server), _inside(client)
        web = ["python3", "-m", "http.server", "--directory", folder_name, "8080"]
        _start(undo, [*in_server, *web])
        tcpdump = ["tcpdump", "-i", "lab", "-U", "-B", "32768", "-Z", "root", "-w"]
        recorder = _start(undo, [*in_client, *tcpdump, os.fspath(capture)])
        words = recorder.stderr.readline() if recorder.stderr else b""
        if b"listening" not in words:  # from that word on nothing is missed
            raise ImageError(f"cannot record: {words.decode(errors='replace').strip()}")
        fetch = "import urllib.request as u; u.urlopen('http://198.18.0.2:8080/payload').read()"
        _retry([*in_client, "python3", "-c", fetch])
        recorder.terminate()
        recorder.wait(RECORD_DEADLINE_S)
        frames = [frame for frame in pcap.read(capture) if fits(frame)]
    if len(frames) < FRAMES_MIN:
        raise ImageError(f"recorded only {len(frames)} frames, {FRAMES_MIN} are needed")
    return frames, "a download recorded over a link made for it"


@contextmanager
def _lab() -> Iterator[tuple[str, str]]:
    """Two namespaces joined by a veth pair named `lab`, without segmentation offloads."""
    names = (f"fieldtap-client-{os.getpid()}", f"fieldtap-server-{os.getpid()}")
    with ExitStack() as undo:
        for name in names:
            run(["ip", "netns", "add", name], timeout_s=10, hint="network namespaces need root")
            undo.callback(run, ["ip", "netns", "del", name], timeout_s=10)
        client, server = names
        pair = ["type", "veth", "peer", "name", "lab", "netns", server]
        run([*_inside(client), "ip", "link", "add", "lab", *pair], timeout_s=10)
        for number, name in enumerate(names, start=1):
            offloads = ["tso", "off", "gso", "off", "gro", "off", "tx", "off"]
            address = f"198.18.0.{number}/24"
            run([*_inside(name), "ethtool", "-K", "lab", *offloads], timeout_s=10)
            run([*_inside(name), "ip", "addr", "add", address, "dev", "lab"], timeout_s=10)
            run([*_inside(name), "ip", "link", "set", "lab", "up"], timeout_s=10)
        yield names


def _inside(namespace: str) -> list[str]:
    """Before a command: run it there. `ip netns exec` cannot where `/` is no mount point."""
    return ["nsenter", f"--net=/run/netns/{namespace}"]


def _start(undo: ExitStack, argv: list[str]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    undo.callback(process.wait)
    undo.callback(process.kill)
    return process


def _retry(argv: list[str]) -> None:
    """Run until it succeeds: the server beside it may still be starting."""
    deadline = time.monotonic() + RECORD_DEADLINE_S
    while True:
        try:
            run(argv, timeout_s=RECORD_DEADLINE_S)
        except ImageError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return
