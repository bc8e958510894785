"""The lab of end-to-end tests and benchmarks: the real programs, over a real virtual link.

It uses none of the project's own Python, so that what judges the programs shares nothing with
them, and nothing of pytest, so that benchmarks can use it.
"""

import itertools
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

CHECKOUT = Path(__file__).resolve().parents[1]
READY_TIMEOUT_S = 30.0
END_TIMEOUT_S = 60.0

Json = dict[str, Any]
"""A report, a status or an answer, as the program wrote it."""

Stream = int | IO[bytes] | None
"""What `Popen` takes for a standard stream."""

_lab_numbers = itertools.count(1)


class LabError(Exception):
    """This machine lacks what the lab needs; the text says what."""


def program(name: str) -> str:
    """Return the path of a program in `$FIELDTAP_BIN_DIR`, else build/bin/.

    Raises `LabError` where it is not there.
    """
    path = Path(os.environ.get("FIELDTAP_BIN_DIR") or CHECKOUT / "build/bin") / name
    if not os.access(path, os.X_OK):
        raise LabError(f"{path} is not built: run `make build`")
    return str(path)


def ft_capture(*options: str | Path) -> list[str]:
    """Return the command line of a capture that sums nothing up in words."""
    return [program("ft-capture"), "-q", *(os.fspath(option) for option in options)]


def ft_generate(*options: str | Path) -> list[str]:
    """Return the command line of a generator that sums nothing up in words."""
    return [program("ft-generate"), "-q", *(os.fspath(option) for option in options)]


def tool(name: str) -> str:
    """Return the path of a tool of the machine. Raises `LabError` where it is not installed."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        raise LabError(f"{name} is not installed")
    return path


def corpora() -> Path:
    """Return the folder of captures that nobody here wrote. Raises `LabError` where it is absent.

    It is `$FIELDTAP_CORPORA`, else `shared/corpora` beside the checkout.
    """
    default = CHECKOUT.parent / "shared/corpora"
    path = Path(os.environ.get("FIELDTAP_CORPORA") or default)
    if not path.is_dir():
        raise LabError(f"no captures at {path}: set FIELDTAP_CORPORA")
    return path


# --- the link -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class End:
    """One end of a link: a port in a network namespace of its own."""

    namespace: str
    port: str

    def command(self, *argv: str | Path) -> list[str]:
        """Return the command line that runs `argv` here; the process keeps its pid."""
        return [tool("ip"), "netns", "exec", self.namespace, *(os.fspath(word) for word in argv)]

    def run(
        self, *argv: str | Path, check: bool = True, timeout_s: float = END_TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        """Run a program here to its end; with `check`, a failure raises with its words."""
        done = subprocess.run(
            self.command(*argv), capture_output=True, text=True, check=False, timeout=timeout_s
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{argv}: exit code {done.returncode}: {done.stderr.strip()}")
        return done

    def start(
        self,
        *argv: str | Path,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
    ) -> "subprocess.Popen[bytes]":
        """Start a program here."""
        command = self.command(*argv)
        return subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr)


@dataclass(frozen=True)
class Lab:
    """Two ends joined by a virtual link, silent: no addresses, IPv6 off."""

    left: End
    right: End


def _ip(*argv: str) -> None:
    done = subprocess.run([tool("ip"), *argv], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"this machine makes no network lab: ip {argv[0]}: {done.stderr.strip()}")


def _silence(namespace: str) -> None:
    off = "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"
    command = [tool("ip"), "netns", "exec", namespace, tool("sysctl"), "-qw", *off]
    subprocess.run(command, capture_output=True, check=False)  # without IPv6 there is nothing to do


@contextmanager
def lab(mtu_bytes: int = 1500, *, together: bool = False) -> Iterator[Lab]:
    """Make a lab and remove it at the end. Raises `LabError` where that is impossible.

    With `together`, both ends are in one namespace, for a program that uses both.
    """
    if os.geteuid() != 0:
        raise LabError("needs root for network namespaces")
    number = next(_lab_numbers)
    namespaces = [f"ft{os.getpid()}-{number}{side}" for side in ("l" if together else "lr")]
    left, right = End(namespaces[0], "ft-left"), End(namespaces[-1], "ft-right")
    try:
        for namespace in namespaces:
            _ip("netns", "add", namespace)
            _silence(namespace)
            _ip("-n", namespace, "link", "set", "lo", "up")
        peer = ("peer", "name", right.port, "netns", right.namespace)
        _ip("-n", left.namespace, "link", "add", left.port, "type", "veth", *peer)
        for end in (left, right):
            _ip("-n", end.namespace, "link", "set", end.port, "mtu", str(mtu_bytes), "up")
        yield Lab(left, right)
    finally:
        for namespace in namespaces:
            command = [tool("ip"), "netns", "del", namespace]
            subprocess.run(command, capture_output=True, check=False)


# --- the control socket -------------------------------------------------------------------------


@dataclass
class Client:
    """A raw client of a control socket: it can also misbehave."""

    connection: socket.socket
    pending: bytes = b""

    def send(self, text: str | bytes) -> None:
        """Send as is, with no end of line of our own."""
        self.connection.sendall(text.encode() if isinstance(text, str) else text)

    def receive(self) -> Json | None:
        """Return the next object, or None once the engine has closed the connection."""
        while b"\n" not in self.pending:
            try:
                received = self.connection.recv(1 << 16)
            except ConnectionResetError:
                return None
            if not received:
                return None
            self.pending += received
        line, _, self.pending = self.pending.partition(b"\n")
        message: Json = json.loads(line)
        return message

    def ask(self, method: str, **params: object) -> Json:
        """Call a method and return the whole answer, result or error."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        self.send(json.dumps(request) + "\n")
        while (message := self.receive()) is not None:
            if "id" in message:
                return message
        raise ConnectionError(f"the engine hung up on {method}")


@contextmanager
def client(path: Path) -> Iterator[Client]:
    """Connect to an engine's control socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        # A connect that may wait for its turn, unlike one under settimeout.
        timeout = struct.pack("ll", int(READY_TIMEOUT_S), 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
        connection.connect(os.fspath(path))
        connection.settimeout(READY_TIMEOUT_S)
        yield Client(connection)


def call(path: Path, method: str, **params: object) -> Json:
    """Call one method over a connection of its own and return its result."""
    with client(path) as asking:
        answer = asking.ask(method, **params)
    if "result" not in answer:
        raise AssertionError(f"{method}: {answer}")
    result: Json = answer["result"]
    return result


# --- engines ------------------------------------------------------------------------------------


@dataclass
class Engine:
    """A running ft-capture or ft-generate with its control socket, report and words."""

    process: "subprocess.Popen[bytes]"
    socket: Path
    report_path: Path
    words_path: Path

    def status(self) -> Json:
        """Return what the engine says of itself now."""
        return call(self.socket, "status")

    def send_signal(self, number: int) -> None:
        """Send a signal to the engine, and to nothing else."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait for the engine's end; return its exit code."""
        return self.process.wait(END_TIMEOUT_S)

    def words(self) -> str:
        """Return what it has said on stderr so far."""
        return self.words_path.read_text()

    def report(self) -> Json:
        """Return its report, once it has ended."""
        report: Json = json.loads(self.report_path.read_text())
        return report

    def finish(self) -> Json:
        """Wait for an end that was asked for; return the report of a run that went well."""
        code = self.wait()
        if code != 0:
            raise AssertionError(f"exit code {code}: {self.words()}")
        return self.report()

    def stop(self, number: int = signal.SIGINT) -> Json:
        """End the run by a signal; return its report."""
        self.send_signal(number)
        return self.finish()


@contextmanager
def running(
    end: End,
    argv: Sequence[str | Path],
    *,
    name: str = "tap",
    wait: bool = True,
    stdin: Stream = None,
    stdout: Stream = None,
) -> Iterator[Engine]:
    """Run an engine at `end` under `name`; it is ready or done, or (`wait` false) only started.

    The report is asked for in the RUN directory. Whatever still runs at the end is killed.
    """
    run_dir = Path(os.environ["FIELDTAP_RUN_DIR"])
    report, words = run_dir / f"{name}.report.json", run_dir / f"{name}.stderr"
    with words.open("wb") as stderr:
        command = [*argv, "--name", name, "--report", report]
        process = end.start(*command, stdin=stdin, stdout=stdout, stderr=stderr)
    engine = Engine(process, run_dir / name / "control.sock", report, words)
    try:
        if wait:
            _wait_until_ready(engine)
        yield engine
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _wait_until_ready(engine: Engine) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not _answers(engine):
        if engine.process.poll() is not None:
            if engine.process.returncode == 0:
                return  # there was little to do
            raise AssertionError(f"ended with {engine.process.returncode}: {engine.words()}")
        if time.monotonic() > deadline:
            raise AssertionError(f"not ready within {READY_TIMEOUT_S:.0f} s")
        time.sleep(0.005)


def _answers(engine: Engine) -> bool:
    """Whether the socket is this engine's, and not one that a dead engine left."""
    try:
        return bool(engine.status()["pid"] == engine.process.pid)
    except (ConnectionError, FileNotFoundError):
        return False


@contextmanager
def capturing(
    end: End, output: Path | str, *options: str | Path, name: str = "tap", stdout: Stream = None
) -> Iterator[Engine]:
    """Capture the port of `end` into `output`."""
    argv = ft_capture("-i", end.port, "-w", output, *options)
    with running(end, argv, name=name, stdout=stdout) as engine:
        yield engine


def wait_until(what: str, condition: Callable[[], object]) -> None:
    """Poll until `condition()` is true; a test fails, rather than hangs, where it never is."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never came: {what}")
        time.sleep(0.01)
