"""A guest for power cuts: Debian's kernel and an initial RAM disk with our engine, in QEMU.

Kernel and modules are those of the image; `make image` leaves them in its cache. Programs and their
libraries are this machine's.
"""

import lzma
import os
import re
import shutil
import stat
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from fieldlab import END_TIMEOUT_S, LabError, program, tool

from campaigns.common import HERE, build_sender

MODULES = ("virtio_pci", "virtio_blk", "ext4", "veth")
MEMORY_MIB = 1024
BOOT_TIMEOUT_S = 180.0


# --- the initial RAM disk -----------------------------------------------------------------------


def image_cache() -> Path:
    """Where the image's build keeps its stages."""
    if given := os.environ.get("FIELDTAP_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fieldtap"


def newest(stage: str, name: str) -> Path:
    """Return a file of the image's cache; LabError where `make image` was not run."""
    found = sorted(image_cache().glob(f"{stage}/*/{name}"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise LabError(f"no {name} in {image_cache()}/{stage}: run `make image`")
    return found[-1]


def modules_in_order(
    tar: tarfile.TarFile, folder: str, modules: Sequence[str]
) -> Iterator[tuple[str, bytes]]:
    """Yield the modules that the guest needs, each after those that it depends on."""
    listing = tar.extractfile(f"{folder}/modules.dep")
    assert listing is not None
    needs: dict[str, list[str]] = {}
    for line in listing.read().decode().splitlines():
        path, _, others = line.partition(":")
        needs[path] = others.split()
    names = {PurePosixPath(path).name.partition(".")[0].replace("-", "_"): path for path in needs}
    # ext4 asks for crc32c by name, which modules.dep does not tell.
    wanted = [names[name] for name in ("crc32c_generic", *modules) if name in names]
    done: list[str] = []

    def add(path: str) -> None:
        for other in needs[path]:
            add(other)
        if path not in done:
            done.append(path)

    for path in wanted:
        add(path)
    for path in done:
        packed = tar.extractfile(f"{folder}/{path}")
        assert packed is not None
        data = packed.read()
        yield (
            PurePosixPath(path).name.partition(".")[0],
            (lzma.decompress(data) if path.endswith(".xz") else data),
        )


def modules_of_image(modules: Sequence[str] = MODULES) -> list[tuple[str, bytes]]:
    """Return name and bytes of the modules, in the order in which they load."""
    with tarfile.open(newest("rootfs", "rootfs.tar")) as tar:
        (listing,) = (name for name in tar.getnames() if name.endswith("/modules.dep"))
        return list(modules_in_order(tar, listing.removesuffix("/modules.dep"), modules))


def libraries(path: str) -> set[str]:
    """Return the libraries that a program loads, and its loader."""
    told = subprocess.run([tool("ldd"), path], capture_output=True, text=True, check=False).stdout
    return set(re.findall(r"(/\S+) \(0x", told))


def archive(entries: Iterable[tuple[str, int, bytes]]) -> bytes:
    """Return a cpio archive ("newc") of path, mode and content."""
    parts, made = list[bytes](), set[str]()

    def add(path: str, mode: int, data: bytes) -> None:
        name = path.encode() + b"\0"
        fields = (len(parts) + 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
        head = b"070701" + b"".join(b"%08X" % value for value in fields) + name
        parts.append(head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4))

    for path, mode, data in entries:
        for parent in reversed(PurePosixPath(path).parents):
            if str(parent) not in (".", *made):
                made.add(str(parent))
                add(str(parent), stat.S_IFDIR | 0o755, b"")
        add(path, stat.S_IFREG | mode, data)
    add("TRAILER!!!", 0, b"")
    return b"".join(parts)


def make_initrd(path: Path) -> Path:
    """Write the guest's initial RAM disk."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise LabError("busybox is not installed: setup/system test")
    programs = {
        "init": str(HERE / "guest-init.sh"),
        "bin/busybox": busybox,
        "bin/iproute2": str(Path(tool("ip")).resolve()),
        "bin/stamped_sender": str(build_sender()),
        "bin/ft-capture": str(Path(program("ft-capture")).resolve()),
    }
    entries = [(name, 0o755, Path(source).read_bytes()) for name, source in programs.items()]
    needed = libraries(programs["bin/iproute2"]) | libraries(programs["bin/ft-capture"])
    entries += [(name.lstrip("/"), 0o755, Path(name).read_bytes()) for name in sorted(needed)]
    for number, (name, data) in enumerate(modules_of_image()):
        entries.append((f"modules/{number:02}-{name}.ko", 0o644, data))
    path.write_bytes(archive(entries))
    return path


# --- the machine --------------------------------------------------------------------------------


@dataclass
class Guest:
    """A running guest; its console is read as it comes, each line with the time of its arrival."""

    process: "subprocess.Popen[bytes]"
    lines: list[tuple[float, str]] = field(default_factory=list)

    def read_console(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append((time.monotonic(), line.decode(errors="replace").strip()))

    def wait_for(self, word: str) -> str:
        """Wait for a line of the console that begins with `word`; return it."""
        deadline = time.monotonic() + BOOT_TIMEOUT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            for _, line in list(self.lines):
                if line.startswith((word, "FAILED")):
                    assert line.startswith(word), self.last_words()
                    return line
            time.sleep(0.02)
        raise AssertionError(f"the guest never said {word}; its last words:\n{self.last_words()}")

    def last_words(self) -> str:
        return "\n".join(line for _, line in self.lines[-20:])

    def sent_by(self, at_s: float) -> int:
        """Return how many frames the sender had told of by then."""
        sent = 0
        for arrived_s, line in self.lines:
            if arrived_s <= at_s and (told := re.match(r"sent (\d+) at \d+$", line)):
                sent = int(told[1])
        return sent


def base_command(initrd: Path, mode: str, processors: int = 2) -> list[str]:
    """Return the command line of a guest without devices.

    One processor is enough where nothing runs side by side, and the surer: with two, QEMU 7.2 was
    seen to run code that the other one was changing, and the guest's kernel gave up.
    Emulated, since a /dev/kvm that opens is no promise that a guest survives on it.
    """
    options = f"console=ttyS0 quiet panic=-1 campaign={mode}"
    command = [tool("qemu-system-x86_64"), "-machine", "q35", "-accel", "tcg,thread=multi"]
    command += ["-cpu", "max", "-smp", str(processors), "-m", str(MEMORY_MIB), "-no-reboot"]
    command += ["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio"]
    command += ["-kernel", str(newest("initrd", "vmlinuz")), "-initrd", str(initrd)]
    return [*command, "-append", options]


@contextmanager
def guest(initrd: Path, disk_socket: Path, mode: str) -> Iterator[Guest]:
    """Run a guest whose second disk is at `disk_socket`; it is killed at the end, if not before."""
    disk = f"driver=nbd,node-name=disk,server.type=unix,server.path={disk_socket}"
    command = [*base_command(initrd, mode), "-blockdev", disk]
    command += ["-device", "virtio-blk-pci,drive=disk,write-cache=on"]
    with running_guest(command) as machine:
        yield machine


@contextmanager
def running_guest(command: Sequence[str]) -> Iterator[Guest]:
    """Run a guest; it is killed at the end, if not before."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    machine = Guest(process)
    reader = threading.Thread(target=machine.read_console, daemon=True)
    reader.start()
    try:
        yield machine
    finally:
        process.kill()
        process.wait()
        reader.join(END_TIMEOUT_S)
