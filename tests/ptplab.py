"""A lab of PTP clocks: namespaces joined by a bridge, a real ptp4l in each.

Stamps are the kernel's, and no ptp4l here may touch the machine's clock: each is without
CAP_SYS_TIME, so that all keep the one clock there is and offsets are small but real.
"""

import itertools
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fieldlab import END_TIMEOUT_S, End, Json, LabError, program, tool, wait_until

SYNC_INTERVAL_S = 0.5
PORT = "ft-ptp"
# Announce each second, Sync each half second; a servo that locks within seconds and never steps.
COMMON = ("-2", "-S", "-m", "--logAnnounceInterval", "0", "--logSyncInterval", "-1")
SERVO = ("--first_step_threshold", "0", "--pi_proportional_const", "0.7")
QUICK = ("--pi_integral_const", "0.3")
# linuxptp 4 puts the interface's name behind the port's number.
CHANGE = re.compile(r"ptp4l\[(\d+\.\d+)\]: port 1(?: \(\S+\))?: (\w+) to (\w+) on ")

_numbers = itertools.count(1)


@dataclass
class Clock:
    """A running ptp4l."""

    end: End
    process: "subprocess.Popen[bytes]"
    socket: Path
    log: Path

    def ask(self, request: str) -> str:
        """Send a management message by pmc, to this clock alone; return what it printed."""
        return self.end.run("pmc", "-u", "-b", "0", "-s", self.socket, request).stdout

    def value(self, data_set: str, name: str) -> str:
        """Return one value of a data set, as pmc prints it."""
        match = re.search(rf"^\s+{re.escape(name)}\s+(\S+)", self.ask(f"GET {data_set}"), re.M)
        assert match is not None, f"{data_set} has no {name}"
        return match[1]

    @property
    def identity(self) -> str:
        return self.value("DEFAULT_DATA_SET", "clockIdentity")

    def changes(self) -> list[tuple[float, str]]:
        """Return the changes of state in its log: monotonic time and the new state."""
        return [(float(at), new) for at, _, new in CHANGE.findall(self.log.read_text())]


@dataclass
class PtpLab:
    """Ends by name, all on one bridge."""

    folder: Path
    ends: dict[str, End]

    @contextmanager
    def clock(self, name: str, *options: str) -> Iterator[Clock]:
        """Run a ptp4l at the end called `name`; it is killed at the end, if not before."""
        end, number = self.ends[name], next(_numbers)
        log = self.folder / f"{name}-{number}.log"
        path = self.folder / f"{name}-{number}.sock"
        confined = [tool("setpriv"), "--bounding-set", "-sys_time", "--inh-caps", "-sys_time"]
        command = [*confined, tool("ptp4l"), *COMMON, *SERVO, *QUICK, "-i", end.port]
        with log.open("wb") as output:
            process = end.start(
                *command, "--uds_address", path, *options, stdout=output, stderr=output
            )
        try:
            yield Clock(end, process, path, log)
        finally:
            process.kill()
            process.wait()

    def master(
        self, name: str = "one", priority: int = 100, *more: str
    ) -> AbstractContextManager[Clock]:
        """Run a grandmaster of class 6."""
        options = ("--clockClass", "6", "--priority1", str(priority), "--free_running", "1")
        return self.clock(name, *options, *more)


@contextmanager
def ptp_lab(folder: Path, names: Sequence[str] = ("one", "two", "slave")) -> Iterator[PtpLab]:
    """Make a lab and remove it at the end. Raises `LabError` where that is impossible."""
    if os.geteuid() != 0:
        raise LabError("needs root for network namespaces")
    for needed in ("ptp4l", "pmc", "setpriv"):
        tool(needed)
    prefix = f"ftptp{os.getpid()}-{next(_numbers)}"
    switch = End(f"{prefix}-switch", "ft-bridge")
    ends = {name: End(f"{prefix}-{name}", PORT) for name in names}
    ip = tool("ip")

    def run(*argv: str) -> None:
        done = subprocess.run([ip, *argv], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LabError(f"this machine makes no lab of clocks: {done.stderr.strip()}")

    with ExitStack() as undo:
        for namespace in (switch.namespace, *(end.namespace for end in ends.values())):
            run("netns", "add", namespace)
            undo.callback(subprocess.run, [ip, "netns", "del", namespace], check=False)
        run("-n", switch.namespace, "link", "add", switch.port, "type", "bridge")
        run("-n", switch.namespace, "link", "set", switch.port, "up")
        for name, end in ends.items():
            peer = ("peer", "name", end.port, "netns", end.namespace)
            run("-n", switch.namespace, "link", "add", f"ft-{name}", "type", "veth", *peer)
            run("-n", switch.namespace, "link", "set", f"ft-{name}", "master", switch.port, "up")
            run("-n", end.namespace, "link", "set", end.port, "up")
        yield PtpLab(folder, ends)


def clock_report(end: End, *options: str, **settings: str) -> Json:
    """Return `fieldtap clock --json` at `end`; `settings` are environment variables."""
    words = [f"{name}={value}" for name, value in settings.items()]
    done = end.run("env", *words, program("fieldtap"), "clock", "--json", *options, check=False)
    assert done.returncode in (0, 3), done.stderr
    report: Json = json.loads(done.stdout)
    assert (done.returncode == 3) == (report["verdict"] == "fail")
    return report


def check_of(report: Json, name: str) -> Json:
    """Return the one check "clock.NAME" of a report."""
    (check,) = (check for check in report["checks"] if check["id"] == f"clock.{name}")
    found: Json = check
    return found


@dataclass
class Watcher:
    """A running `fieldtap clock --watch --json`: its events, each with when it arrived."""

    process: "subprocess.Popen[bytes]"
    events: list[tuple[float, Json]] = field(default_factory=list)

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append((time.monotonic(), json.loads(line)))

    def of(self, name: str) -> list[tuple[float, Json]]:
        """Return the events of the check "clock.NAME" that is there: arrival and check."""
        events = [(at, event["check"]) for at, event in list(self.events) if event["check"]]
        return [(at, check) for at, check in events if check["id"] == f"clock.{name}"]

    def wait_for(self, name: str, what: Callable[[Json], bool], after_s: float = 0) -> float:
        """Wait for such an event after a monotonic time; return when it arrived."""

        def arrived() -> list[float]:
            return [at for at, check in self.of(name) if at >= after_s and what(check)]

        wait_until(f"clock.{name} of the watch", arrived)
        return arrived()[0]


@contextmanager
def watching(end: End, **settings: str) -> Iterator[Watcher]:
    """Watch the clock at `end`; it is asked to end by SIGTERM, and must end well."""
    words = [f"{name}={value}" for name, value in settings.items()]
    command = ("env", *words, program("fieldtap"), "clock", "--watch", "--json")
    watcher = Watcher(end.start(*command, stdout=subprocess.PIPE))
    reader = threading.Thread(target=watcher.read, daemon=True)
    reader.start()
    try:
        wait_until("the first event", lambda: watcher.events)
        yield watcher
        watcher.process.send_signal(signal.SIGTERM)
        assert watcher.process.wait(END_TIMEOUT_S) == 0
    finally:
        watcher.process.kill()
        watcher.process.wait()
        reader.join(END_TIMEOUT_S)
