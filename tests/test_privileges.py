"""What an engine may still do once its ports are open: its work, and nothing else."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import capturefile
import pytest
from fieldlab import (
    End,
    Engine,
    Lab,
    LabError,
    call,
    lab,
    program,
    running,
    tool,
    wait_until,
)

CAPABILITIES = "cap_net_admin,cap_net_raw,cap_ipc_lock,cap_sys_nice,cap_bpf=ep"
NOBODY = "65534"
FRAMES = 3000
SENDER = Path(__file__).with_name("numbered_sender.py")


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that any user can reach: RUN, and a home for another user, are in it."""
    if os.geteuid() != 0:
        raise LabError("needs root to become another user")
    path = Path(tempfile.mkdtemp(prefix="fieldtap-"))
    path.chmod(0o755)
    for name in ("run", "home"):
        (path / name).mkdir()
    (path / "run").chmod(0o777)
    os.chown(path / "home", int(NOBODY), int(NOBODY))
    monkeypatch.setenv("FIELDTAP_RUN_DIR", str(path / "run"))
    monkeypatch.setenv("FIELDTAP_KEY_DIR", str(path / "home/keys"))
    yield path
    shutil.rmtree(path)


def as_nobody(shared: Path, name: str) -> list[str]:
    """Return the command that runs a program as a user who has nothing but the program's own."""
    path = shared / name
    shutil.copy(program(name), path)
    path.chmod(0o755)
    done = subprocess.run([tool("setcap"), CAPABILITIES, path], capture_output=True, check=False)
    if done.returncode != 0:
        raise LabError(f"this file system holds no capabilities: {done.stderr.decode()}")
    become = [tool("setpriv"), "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]
    return [*become, str(path), "-q"]


@pytest.fixture
def unprivileged(shared: Path) -> list[str]:
    """The command of an ordinary user's ft-capture."""
    return as_nobody(shared, "ft-capture")


def states(engine: Engine) -> list[dict[str, str]]:
    """Return what the kernel says of each thread of an engine."""
    tasks = Path(f"/proc/{engine.process.pid}/task").iterdir()
    texts = [(task / "status").read_text() for task in tasks]
    return [dict(re.findall(r"^(\w+):\t(.*)$", text, re.MULTILINE)) for text in texts]


def feature(end: End, name: str) -> bool:
    shown = end.run(tool("ethtool"), "-k", end.port).stdout
    match = re.search(rf"^{name}: (on|off)", shown, re.MULTILINE)
    assert match is not None
    return match[1] == "on"


def stored(engine: Engine) -> int:
    return int(engine.status()["ports"][0]["stored"])


def test_an_unprivileged_user_captures_rotates_and_stops_with_no_privilege_in_any_thread(
    link: Lab, shared: Path, unprivileged: list[str]
) -> None:
    link.right.run(tool("ethtool"), "-K", link.right.port, "gro", "on")
    session = shared / "home/session"
    argv: list[str | Path] = [*unprivileged, "-i", link.right.port, "-w", f"{session}/"]
    with running(link.right, [*argv, "-b", "packets:1000", "-b", "files:2"]) as engine:
        of_threads = states(engine)
        assert not feature(link.right, "generic-receive-offload")
        link.left.run("python3", SENDER, link.left.port, str(FRAMES))
        wait_until("every frame", lambda: stored(engine) == FRAMES)
        call(engine.socket, "rotate")
        report = engine.stop()
    assert len(of_threads) >= 4
    for state in of_threads:
        assert int(state["CapEff"], 16) == int(state["CapPrm"], 16) == 0
        assert int(state["CapInh"], 16) == int(state["CapAmb"], 16) == 0
        assert (state["NoNewPrivs"], state["Seccomp"]) == ("1", "2")
    assert report["ports"][0]["stored"] == FRAMES
    assert (report["balanced"], report["lost"]) == (True, 0)
    assert report["ports"][0]["wire"]["agrees"] is True
    assert report["privileges"] == {"capabilities": [], "no_new_privs": True, "seccomp": True}
    assert report["alarms"] == []
    assert report["expired"]["files"] > 0
    assert all(Path(file["path"]).stat().st_uid == int(NOBODY) for file in report["files"])
    assert (session / "receipt.json.sig").exists()
    assert feature(link.right, "generic-receive-offload")


def test_a_killed_engine_without_privileges_still_gets_its_port_restored(
    link: Lab, shared: Path, unprivileged: list[str]
) -> None:
    link.right.run(tool("ethtool"), "-K", link.right.port, "gro", "on")
    argv: list[str | Path] = [*unprivileged, "-i", link.right.port, "-w", shared / "home/x.pcapng"]
    with running(link.right, argv) as engine:
        assert not feature(link.right, "generic-receive-offload")
        engine.send_signal(signal.SIGKILL)
        engine.wait()
        wait_until("GRO on", lambda: feature(link.right, "generic-receive-offload"))


def test_root_keeps_no_capability_where_it_needs_none(link: Lab, shared: Path) -> None:
    argv: list[str | Path] = [
        program("ft-capture"),
        "-q",
        "-i",
        link.right.port,
        "-w",
        shared / "x.pcapng",
    ]
    with running(link.right, argv) as engine:
        for state in states(engine):
            assert int(state["CapEff"], 16) == int(state["CapPrm"], 16) == 0
            assert int(state["CapBnd"], 16) == 0
            assert state["Seccomp"] == "2"
        engine.stop()


def test_root_can_rotate_in_another_users_folder_and_keeps_what_that_takes_alone(
    link: Lab, shared: Path
) -> None:
    output = shared / "home/x.pcapng"
    argv: list[str | Path] = [program("ft-capture"), "-q", "-i", link.right.port, "-w", output]
    with running(link.right, [*argv, "-b", "packets:1000"]) as engine:
        assert {int(state["CapEff"], 16) for state in states(engine)} == {1 << 1}
        link.left.run("python3", SENDER, link.left.port, str(FRAMES))
        wait_until("every frame", lambda: stored(engine) == FRAMES)
        report = engine.stop()
    assert report["privileges"]["capabilities"] == ["cap_dac_override"]
    paths = [Path(file["path"]) for file in report["files"]]
    assert sum(len(capturefile.read(path).packets) for path in paths) == FRAMES
    assert len(paths) >= 3


def test_the_reader_of_a_pipe_sees_its_end_with_the_engines(link: Lab, shared: Path) -> None:
    argv: list[str | Path] = [program("ft-capture"), "-q", "-i", link.right.port, "-w", "-"]
    with running(link.right, argv, stdout=subprocess.PIPE) as engine:
        engine.send_signal(signal.SIGKILL)
        engine.wait()
        assert engine.process.stdout is not None
        assert engine.process.stdout.read()[:4] == b"\n\r\r\n"


def test_root_and_the_owner_of_the_key_folder_sign_with_one_key(
    shared: Path, unprivileged: list[str]
) -> None:
    keys = shared / "home/keys"
    keys.mkdir(mode=0o700)
    os.chown(keys, int(NOBODY), int(NOBODY))
    as_root = [program("ft-capture"), "-q"]
    for number, argv in enumerate([as_root, unprivileged, as_root]):
        session = shared / f"home/{number}"
        options = ["-i", "synth:count=1000", "-w", f"{session}/"]
        done = subprocess.run([*argv, *options], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert (session / "receipt.json.sig").exists()
    assert sorted(path.name for path in keys.iterdir()) == [
        "receipt_ed25519",
        "receipt_ed25519.pub",
    ]
    key = (keys / "receipt_ed25519").stat()
    assert (key.st_uid, key.st_mode & 0o777) == (int(NOBODY), 0o600)


def test_a_generator_sends_and_receives_with_no_privilege_in_any_thread(shared: Path) -> None:
    with lab(together=True) as made:
        link, back = made.left, made.right
        back.run(tool("ethtool"), "-K", back.port, "gro", "on")
        argv = [program("ft-generate"), "-q", "-o", link.port, "-r", back.port]
        with running(link, [*argv, "--rate", "10kpps", "--duration", "2"]) as engine:
            for state in states(engine):
                assert int(state["CapEff"], 16) == int(state["CapPrm"], 16) == 0
                assert (state["NoNewPrivs"], state["Seccomp"]) == ("1", "2")
            report = engine.finish()
        assert report["invalid_reason"] is None, report["invalid_reason"]
        assert (report["rx"]["lost"], report["rx"]["corrupt"]) == (0, 0)
        assert feature(back, "generic-receive-offload")


def test_an_unprivileged_user_reflects_with_no_privilege_left(link: Lab, shared: Path) -> None:
    argv = [*as_nobody(shared, "ft-reflect"), "-i", link.right.port]
    with running(link.right, argv) as engine:
        (state,) = states(engine)
        assert int(state["CapEff"], 16) == int(state["CapPrm"], 16) == 0
        assert (state["NoNewPrivs"], state["Seccomp"]) == ("1", "2")
        output = f"afpacket:{link.left.port}"  # which sends no frames but these
        sender = [program("ft-generate"), "-q", "-o", output, "-r", link.left.port]
        with running(link.left, [*sender, "--count", "1000"], name="near", wait=False) as near:
            assert near.finish()["rx"]["frames"] == 1000
        assert engine.stop()["reflected"] == 1000
