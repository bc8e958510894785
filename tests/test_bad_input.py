"""What goes wrong is said in one line with the documented exit code; nothing stored is lost."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import capturefile
import pytest
from capturefile import write_pcap
from fieldlab import (
    Engine,
    Lab,
    LabError,
    capturing,
    ft_capture,
    ft_generate,
    running,
    tool,
    wait_until,
)

SMALL_DISK_BYTES = 8 << 20
FRAMES = [bytes([number]) * 100 for number in range(200)]

# Options of ft-capture, the exit code, and what the line must name. {port}, {tmp} and {source} (a
# sound capture) are filled in.
REFUSED = {
    "no port": ("-w null:", 2, "-i is missing"),
    "no output": ("-i {port}", 2, "-w is missing"),
    "port of no interface": ("-i nowhere0 -w {tmp}/x", 2, "port 'nowhere0': no such interface"),
    "path for a port": ("-i {source} -w {tmp}/x", 2, "a file or FIFO is file:{source}"),
    "empty port": ("-i '' -w {tmp}/x", 2, "names no device"),
    "port that is down": ("-i down0 -w {tmp}/x", 1, "port 'down0'"),
    "overlong port": (f"-i {'x' * 300} -w {{tmp}}/x", 2, "longer than an interface name"),
    "one good and one bad port": ("-i {port} -i nowhere0 -w {tmp}/x", 2, "nowhere0"),
    "too many ports": ("-i lo " * 17 + "-w {tmp}/x", 2, "at most 16 ports"),
    "bad filter": ("-i {port} -w {tmp}/x -f 'udp prot 53'", 2, "-f 'udp prot 53'"),
    "unknown option": ("-i {port} -w {tmp}/x --frobnicate", 2, "--frobnicate: unknown option"),
    "unknown letter": ("-i {port} -w {tmp}/x -Z", 2, "-Z: unknown option"),
    "option without its value": ("-i {port} -w {tmp}/x -c", 2, "-c: needs a value"),
    "stray word": ("-i {port} -w {tmp}/x stray", 2, "stray: not an option"),
    "count of nothing": ("-i {port} -w {tmp}/x -c 0", 2, "0"),
    "count of letters": ("-i {port} -w {tmp}/x -c many", 2, "many"),
    "negative count": ("-i {port} -w {tmp}/x -c -5", 2, "-5"),
    "count beyond 64 bits": ("-i {port} -w {tmp}/x -c 99999999999999999999", 2, "9999"),
    "unknown stop": ("-i {port} -w {tmp}/x -a sunset:1", 2, "-a sunset:1"),
    "stop without a value": ("-i {port} -w {tmp}/x -a duration:", 2, "must be|duration"),
    "bad snapshot": ("-i {port} -w {tmp}/x -s 999999999", 2, "999999999"),
    "bad direction": ("-i {port} -w {tmp}/x -d sideways", 2, "-d sideways"),
    "bad buffer": ("-i {port} -w {tmp}/x --buffer lots", 2, "lots"),
    "buffer too large": ("-i {port} -w {tmp}/x --buffer 5GiB", 2, "--buffer 5GiB: at most 4GiB"),
    "bad name": ("-i {port} -w {tmp}/x --name a/b", 2, "--name 'a/b'"),
    "name of dots": ("-i {port} -w {tmp}/x --name ..", 2, "--name '..'"),
    "output in no folder": ("-i {port} -w {tmp}/no/x", 1, "-w {tmp}/no/x: cannot be written"),
    "report in no folder": ("-i {port} -w {tmp}/x --report {tmp}/no/r", 1, "--report {tmp}/no/r"),
    "report is a folder": ("-i {port} -w {tmp}/x --report {tmp}", 2, "--report {tmp}"),
    "no such file": ("-i file:{tmp}/none -w {tmp}/x", 1, "{tmp}/none"),
    "folder as a file": ("-i file:{tmp} -w {tmp}/x", 1, "{tmp}"),
    "file that is no capture": ("-i file:/etc/passwd -w {tmp}/x", 1, "/etc/passwd"),
    "file port without a file": ("-i file: -w {tmp}/x", 2, "file:"),
    "device without an end": ("-i file:/dev/zero -w {tmp}/x", 1, "/dev/zero"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_ft_capture_refuses_in_one_line_and_leaves_nothing(
    link: Lab, tmp_path: Path, case: str
) -> None:
    template, code, named = REFUSED[case]
    source = write_pcap(tmp_path / "source.pcap", FRAMES)
    names = {"port": link.right.port, "tmp": str(tmp_path), "source": str(source)}
    link.right.run("ip", "link", "add", "down0", "type", "veth", "peer", "name", "down1")
    before = sorted(path.name for path in tmp_path.iterdir())
    words = re.findall(r"'([^']*)'|(\S+)", template.format(**names))
    options = [quoted or plain for quoted, plain in words]
    done = link.right.run(*ft_capture(*options), check=False)
    assert done.returncode == code, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert re.match(r"ft-capture: \S", done.stderr)
    assert any(part in done.stderr for part in named.format(**names).split("|")), done.stderr
    assert done.stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert {path.name for path in (tmp_path / "run").iterdir()} <= {".ports"}


GENERATOR_REFUSED = {
    "no port": ("--count 1", 2, "-o"),
    "port of no interface": ("-o nowhere0", 2, "nowhere0"),
    "bad size": ("-o {port} --size 12", 2, "12"),
    "size above the MTU": ("-o {port} --size 9000 --count 1", 2, "9000"),
    "bad rate": ("-o {port} --rate fast", 2, "fast"),
    "bad count": ("-o {port} --count 0", 2, "0"),
    "unknown option": ("-o {port} --frobnicate", 2, "--frobnicate"),
    "no such file": ("-o {port} --replay {tmp}/none", 1, "{tmp}/none"),
    "file that is no capture": ("-o {port} --replay /etc/passwd", 1, "/etc/passwd"),
    "bad filter": ("-o {port} --replay {source} -f 'udp prot 53'", 2, "udp prot 53"),
    "report in no folder": ("-o {port} --count 1 --report {tmp}/no/r", 1, "{tmp}/no/r"),
}


@pytest.mark.parametrize("case", GENERATOR_REFUSED)
def test_ft_generate_refuses_in_one_line_and_sends_nothing(
    link: Lab, tmp_path: Path, case: str
) -> None:
    template, code, named = GENERATOR_REFUSED[case]
    source = write_pcap(tmp_path / "source.pcap", FRAMES)
    names = {"port": link.left.port, "tmp": str(tmp_path), "source": str(source)}
    words = re.findall(r"'([^']*)'|(\S+)", template.format(**names))
    options = [quoted or plain for quoted, plain in words]
    with capturing(link.right, "null:", "-d", "in") as engine:
        done = link.left.run(*ft_generate(*options), check=False)
        assert engine.stop()["ports"][0]["offered"] == 0
    assert done.returncode == code, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert re.match(r"ft-generate: \S", done.stderr)
    assert named.format(**names) in done.stderr, done.stderr


# --- what is damaged ----------------------------------------------------------------------------


@pytest.mark.parametrize("cut_bytes", [1, 20, 101])
def test_a_capture_cut_short_gives_all_its_whole_frames_and_one_line(
    link: Lab, tmp_path: Path, cut_bytes: int
) -> None:
    data = write_pcap(tmp_path / "source.pcap", FRAMES).read_bytes()
    cut, output = tmp_path / "cut.pcap", tmp_path / "x.pcapng"
    cut.write_bytes(data[:-cut_bytes])
    with running(link.right, ft_capture("-i", f"file:{cut}", "-w", output), wait=False) as engine:
        assert engine.wait() == 1
        report, words = engine.report(), engine.words()
    assert len(words.splitlines()) == 1
    assert str(cut) in words
    assert capturefile.read(output).frames == FRAMES[:-1]
    assert report["ports"][0]["stored"] == report["ports"][0]["offered"] == len(FRAMES) - 1
    assert report["balanced"] is True


def test_garbage_inside_a_capture_ends_it_with_the_frames_before(link: Lab, tmp_path: Path) -> None:
    data = write_pcap(tmp_path / "source.pcap", FRAMES[:50]).read_bytes()
    broken, output = tmp_path / "broken.pcap", tmp_path / "x.pcapng"
    broken.write_bytes(data + b"\xff" * 10_000)
    argv = ft_capture("-i", f"file:{broken}", "-w", output)
    with running(link.right, argv, wait=False) as engine:
        assert engine.wait() == 1
        words = engine.words()
    assert len(words.splitlines()) == 1
    assert "damaged" in words
    assert capturefile.read(output).frames == FRAMES[:50]


# --- what the machine refuses -------------------------------------------------------------------


def mount(point: Path, *what: str) -> None:
    point.mkdir()
    command = [tool("mount"), *what, str(point)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise LabError(f"this machine mounts no small disk: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    image, point = tmp_path / "disk.img", tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(SMALL_DISK_BYTES)
    making = [tool("mkfs.ext4"), "-q", "-m", "0", str(image)]
    subprocess.run(making, check=True, capture_output=True)
    mount(point, "-o", "loop", str(image))
    yield point
    subprocess.run([tool("umount"), point], check=True)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system on which not one more byte fits."""
    point = tmp_path / "disk"
    mount(point, "-t", "tmpfs", "-o", "size=64k", "tmpfs")
    (point / "ballast").write_bytes(bytes(64 << 10))
    yield point
    subprocess.run([tool("umount"), point], check=True)


def send_more_than_the_disk_holds(link: Lab) -> None:
    count = 2 * SMALL_DISK_BYTES // 1500
    link.left.run(*ft_generate("-o", link.left.port, "--size", "1518", "--count", str(count)))


def test_a_full_disk_stops_the_writing_but_not_the_counting(
    link: Lab, tmp_path: Path, small_disk: Path
) -> None:
    output = small_disk / "x.pcapng"
    with capturing(link.right, output, "-d", "in") as engine:
        send_more_than_the_disk_holds(link)
        wait_until("the alarm is raised", lambda: engine.status()["alarms"])
        assert engine.status()["state"] == "running"
        engine.send_signal(signal.SIGINT)
        assert engine.wait() == 1
        report, words = engine.report(), engine.words()
    port = report["ports"][0]
    assert len(words.splitlines()) == 1
    assert "No space left on device" in words
    assert report["balanced"] is True
    assert report["lost"] == port["dropped"]["disk"] > 0
    assert_file_tells(output, report["files"][0]["packets"], port["stored"])
    assert [alarm["text"] for alarm in report["alarms"]] == [
        words.removeprefix("ft-capture: ")[:-1]
    ]
    assert capturefile.read(output).last_statistics(0)["delivered"] == port["stored"]


def test_a_ring_smaller_than_its_disk_is_never_stopped_by_room_taken_ahead(
    tmp_path: Path, small_disk: Path
) -> None:
    source, report = "synth:size=1000,rate=5kpps,count=10000", tmp_path / "report.json"
    ring: list[str | Path] = [
        "-w",
        small_disk / "ring.pcapng",
        "-b",
        "filesize:500",
        "-b",
        "total:2MB",
    ]
    done = subprocess.run(
        ft_capture("-i", source, *ring, "--report", report),
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(report.read_text())["lost"] == 0


def assert_file_tells(path: Path, *counts: int) -> None:
    """The file is sound and holds as many frames as each count says, more than none."""
    assert capturefile.complaints(path) == []
    packets = len(capturefile.read(path).packets)
    assert packets > 0
    assert set(counts) == {packets}


def test_a_disk_that_is_full_from_the_start_is_refused_in_one_line(
    link: Lab, full_disk: Path
) -> None:
    output = full_disk / "x.pcapng"
    done = link.right.run(*ft_capture("-i", link.right.port, "-w", output), check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "No space left on device" in done.stderr
    assert {path.name for path in full_disk.iterdir()} == {"ballast"}


def test_a_report_that_cannot_be_written_any_more_is_an_error_and_the_capture_stays(
    link: Lab, tmp_path: Path
) -> None:
    folder, output = tmp_path / "reports", tmp_path / "x.pcapng"
    folder.mkdir()
    with capturing(link.right, output) as engine:
        engine.stop()
    argv = [*ft_capture("-i", link.right.port, "-w", tmp_path / "y.pcapng", "--name", "lost")]
    process = link.right.start(*argv, "--report", folder / "r.json", stderr=subprocess.PIPE)
    socket = tmp_path / "run/lost/control.sock"
    wait_until("the engine is ready", socket.exists)
    folder.rmdir()
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1].decode()
    assert process.returncode == 1
    assert len(said.splitlines()) == 1
    assert f"--report {folder}/r.json" in said
    assert capturefile.complaints(tmp_path / "y.pcapng") == []


@pytest.mark.parametrize("program", ["ft-capture", "ft-generate"])
def test_without_privilege_the_line_says_what_is_needed(
    link: Lab, tmp_path: Path, program: str
) -> None:
    engine = {
        "ft-capture": ft_capture("-i", link.left.port, "-w", tmp_path / "x.pcapng"),
        "ft-generate": ft_generate("-o", link.left.port, "--count", "1"),
    }[program]
    unprivileged = [tool("setpriv"), "--bounding-set", "-net_raw,-net_admin", "--inh-caps", "-all"]
    done = link.left.run(*unprivileged, *engine, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert re.match(rf"{program}: .*{link.left.port}.*cap_net_raw", done.stderr)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def kill(engine: Engine) -> None:
    engine.send_signal(signal.SIGKILL)
    engine.wait()


def test_the_socket_of_a_dead_engine_does_not_keep_its_name(link: Lab, tmp_path: Path) -> None:
    with capturing(link.right, "null:") as engine:
        kill(engine)
        assert engine.socket.exists()
    with capturing(link.right, tmp_path / "x.pcapng") as engine:
        assert engine.stop()["balanced"] is True
    assert not engine.socket.parent.exists()


def test_a_file_that_may_not_be_read_is_refused_in_one_line(link: Lab, tmp_path: Path) -> None:
    source = write_pcap(tmp_path / "source.pcap", FRAMES)
    source.chmod(0)
    drop = "-dac_override,-dac_read_search"
    unprivileged = [tool("setpriv"), "--bounding-set", drop, "--inh-caps", "-all"]
    argv = ft_capture("-i", f"file:{source}", "-w", "null:")
    done = link.right.run(*unprivileged, *argv, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert re.match(rf"ft-capture: .*{source}.*Permission denied", done.stderr)
