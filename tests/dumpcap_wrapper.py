"""dumpcap's command line before ft-capture: for programs and tests that drive a dumpcap.

It translates flags, words and exit codes, and does no capturing of its own. For tshark (`-Z none`)
it also speaks the messages of dumpcap's parent: a letter, a length of three bytes, and a text.
"""

import getopt
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from fieldlab import ft_capture

SHORT = "a:b:B:c:C:Df:ghi:LMnN:pPqs:tvw:Z:"
LONG = ["list-time-stamp-types", "version", "help"]
SAME = {"-a", "-b", "-c", "-f", "-s", "-w", "-p", "-q"}
"""What ft-capture takes as it is."""
MEANINGLESS = {"-n", "-g", "-t", "-C", "-N"}
"""pcapng is our default too; the rest tunes what is inside dumpcap."""

NETWORKS = Path("/sys/class/net")
ETHERNET, LOOPBACK = 1, 772
DONE, FAILED = 0, 1


class DumpcapError(Exception):
    """What dumpcap would say, in its words; it exits with 1 for all of it."""


class BadFilterError(DumpcapError):
    """A filter that is none: a message of its own between dumpcap and its parent."""


@dataclass
class Job:
    """A command line of dumpcap's, read."""

    interfaces: list[str] = field(default_factory=list)
    translated: list[str] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    output: str = ""
    for_parent: bool = False


def main(argv: list[str]) -> int:
    """Do what dumpcap would do with `argv`; return the exit code."""
    job = Job()
    try:
        options, rest = getopt.getopt(argv, SHORT, LONG)
        if rest:
            raise DumpcapError(f"Invalid argument: {rest[0]}")
        read(options, job)
        return run(job)
    except BadFilterError as error:
        tell_parent(job, "B", f"0:{error}")
        say(f'Invalid capture filter "{value_of(job, "-f")}" for interface: {error}', job)
    except (DumpcapError, getopt.GetoptError) as error:
        tell_parent(job, "E", message("E", str(error)) + message("E", ""))
        say(str(error), job)
    return FAILED


def read(options: Iterable[tuple[str, str]], job: Job) -> None:
    """Translate every option; those that ask for a list or a text are `flags`."""
    for flag, value in options:
        if flag == "-i":
            job.interfaces.append(value)
        elif flag == "-B":
            job.translated += ["--buffer", f"{value}MiB"]
        elif flag == "-P":
            job.translated += ["-F", "pcap"]
        elif flag == "-Z":
            job.for_parent = True
        elif flag in SAME:
            job.translated += [flag, value] if value else [flag]
        elif flag not in MEANINGLESS:
            job.flags.add(flag)
    job.output = value_of(job, "-w")
    if not job.output:
        job.output = tempfile.mktemp(prefix="dumpcap_", suffix=".pcapng")
        job.translated += ["-w", job.output]


def run(job: Job) -> int:
    """List, explain or capture."""
    if job.flags & {"-h", "--help", "-v", "--version"}:
        print("Dumpcap's command line before ft-capture")
        return DONE
    if "-D" in job.flags:
        tell_parent(job, "S", "")
        list_interfaces(machine_readable="-M" in job.flags or job.for_parent)
        return DONE
    ports = [port_of(name) for name in job.interfaces or [default_interface()]]
    if "-L" in job.flags:
        tell_parent(job, "S", "")
        list_link_types(ports[0], machine_readable="-M" in job.flags or job.for_parent)
        return DONE
    return capture(ports, job)


def capture(ports: list[str], job: Job) -> int:
    """Run ft-capture until it ends; its last word on stderr becomes dumpcap's."""
    with tempfile.TemporaryDirectory(prefix="dumpcap-") as folder:
        report = Path(folder) / "report.json"
        given = [*(f"-i{port}" for port in ports), *job.translated, "--report", str(report)]
        with subprocess.Popen(ft_capture(*given), stderr=subprocess.PIPE, text=True) as engine:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda number, _frame: engine.send_signal(number))
            _, words = engine.communicate()
        if engine.returncode != DONE:
            raise translated_error(words)
        if job.for_parent:
            frames = sum(port["stored"] for port in json.loads(report.read_text())["ports"])
            tell_parent(job, "F", job.output)
            tell_parent(job, "P", str(frames))
    return DONE


def translated_error(words: str) -> DumpcapError:
    """Return the engine's error as dumpcap would have it."""
    line = (words.splitlines() or ["no word from ft-capture"])[-1].removeprefix("ft-capture: ")
    if line.startswith("-f "):
        return BadFilterError(line.rpartition(": ")[2])
    return DumpcapError(line)


def interfaces() -> list[str]:
    """Return what can be captured on, in the kernel's order, as dumpcap numbers them from 1."""
    names = [entry.name for entry in NETWORKS.iterdir() if link_type(entry.name)]
    return sorted(names, key=lambda name: int((NETWORKS / name / "ifindex").read_text()))


def default_interface() -> str:
    """Return the first that is no loopback."""
    names = interfaces()
    return next((name for name in names if name != "lo"), names[0])


def link_type(name: str) -> bool:
    """Whether frames of an interface have Ethernet's headers."""
    return int((NETWORKS / name / "type").read_text()) in (ETHERNET, LOOPBACK)


def port_of(name: str) -> str:
    """Return the engine's port for a name, a number, a FIFO or stdin."""
    if name == "-" or name in (known := interfaces()):
        return name
    if name.isdigit():
        if not 1 <= int(name) <= len(known):
            raise DumpcapError("There is no interface with that adapter index")
        return known[int(name) - 1]
    if Path(name).is_fifo():
        return f"file:{name}"
    raise DumpcapError(f'There is no device named "{name}".')


def list_interfaces(*, machine_readable: bool) -> None:
    for number, name in enumerate(interfaces(), 1):
        friendly = "Loopback" if name == "lo" else ""
        if machine_readable:
            kind = "loopback" if name == "lo" else "network"
            print(f"{number}. {name}\t\t{friendly}\t0\t\t{kind}\t")
        else:
            print(f"{number}. {name}{f' ({friendly})' if friendly else ''}")


def list_link_types(port: str, *, machine_readable: bool) -> None:
    if machine_readable:
        print("0\n1\tEN10MB\tEthernet\n\nhost\tHost")
    else:
        print(f"Data link types of interface {port} (use option -y to set):\n  EN10MB (Ethernet)")


def value_of(job: Job, flag: str) -> str:
    """Return the value that `flag` was given last, or nothing."""
    values = [job.translated[at + 1] for at, word in enumerate(job.translated) if word == flag]
    return values[-1] if values else ""


def say(text: str, job: Job) -> None:
    if not job.for_parent:
        print(f"dumpcap: {text}", file=sys.stderr)


def tell_parent(job: Job, kind: str, text: str) -> None:
    """Send a message to tshark, where it is our parent."""
    if job.for_parent:
        sys.stderr.write(message(kind, text))
        sys.stderr.flush()


def message(kind: str, text: str) -> str:
    """Return a message: its letter, its length with the final NUL, its text."""
    body = f"{text}\0" if text or kind != "S" else ""
    length = len(body.encode()).to_bytes(3, "big").decode("latin-1")
    return f"{kind}{length}{body}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
