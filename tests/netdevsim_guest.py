"""A guest with netdevsim, the kernel's own simulated adapter that takes firmware.

Debian builds netdevsim for no kernel, so the module is built here from Debian 13's sources, against
its kernel. Kernel and modules are kept in the image's cache under a digest of the recipe.
The guest's root is this machine's, read-only, with what is written on top kept in memory: it runs
this very checkout.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from campaigns.guest import archive, image_cache
from fieldlab import CHECKOUT, Json, LabError, tool

HERE = Path(__file__).parent
SUITE = "trixie"
PACKAGES = (
    *("linux-headers-amd64", "linux-image-amd64", "linux-source"),
    *("gcc", "kmod", "make", "xz-utils"),
)
MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay", "netdevsim")
RECIPE = f"""
set -eu
kernel=$(ls /usr/lib/modules)
mkdir /build /out /out/modules
tar -xf /usr/src/linux-source-*.tar.xz -C /build --strip-components=1 --wildcards \
    '*/drivers/net/netdevsim'
make -C "/usr/lib/modules/$kernel/build" M=/build/drivers/net/netdevsim CONFIG_NETDEVSIM=m modules
mkdir "/usr/lib/modules/$kernel/extra"
strip --strip-debug /build/drivers/net/netdevsim/netdevsim.ko
cp /build/drivers/net/netdevsim/netdevsim.ko "/usr/lib/modules/$kernel/extra"
depmod "$kernel"
for module in {" ".join(MODULES)}; do
    modprobe --set-version "$kernel" --show-depends "$module" | while read -r what path _; do
        [ "$what" = insmod ] || continue
        name=$(basename "${{path%.xz}}")
        if ls /out/modules | grep -q -- "-$name\\$"; then continue; fi
        number=$(ls /out/modules | wc -l)
        copy="/out/modules/$(printf %02d "$number")-$name"
        case "$path" in *.xz) xz -dc "$path" >"$copy" ;; *) cp "$path" "$copy" ;; esac
    done
done
cp "/boot/vmlinuz-$kernel" /out/vmlinuz
"""
BUILD_TIMEOUT_S = 1800
GUEST_TIMEOUT_S = 1200
MEMORY_MIB = 1024
MARKER = "RESULT "
# What the guest runs, so that its results hold for as long as this is unchanged.
INGREDIENTS = (
    "hardware/fieldtap_hardware/ethtool.py",
    "hardware/fieldtap_hardware/explain/devlink.py",
    "hardware/fieldtap_hardware/firmware*.py",
    "hardware/fieldtap_hardware/journal.py",
    "hardware/fieldtap_hardware/ports.py",
    "hardware/fieldtap_hardware/programs.py",
    "hardware/fieldtap_hardware/writing.py",
    "hardware/tests/fake_adapter.py",
    "hardware/tests/fake_machine.py",
    "tests/netdevsim-init.sh",
    "tests/netdevsim_guest.py",
    "tests/netdevsim_scenarios.py",
    "tui/fieldtap/cli_hardware.py",
    "tui/fieldtap/cli_updates.py",
    "tui/fieldtap/updates.py",
)


def digest(parts: Iterable[bytes]) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(b"%d\n" % len(part) + part)
    return total.hexdigest()[:32]


def kernel_and_modules() -> Path:
    """The folder with vmlinuz and modules/, in the order in which they load; made once."""
    key = digest([RECIPE.encode(), ",".join((SUITE, *PACKAGES)).encode()])
    final = image_cache() / "netdevsim" / key
    if final.is_dir():
        return final
    if os.geteuid() != 0:
        raise LabError("building netdevsim for a guest needs root")
    mmdebstrap = tool("mmdebstrap")
    final.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=final.parent, prefix="unfinished-") as folder:
        tree = Path(folder, "tree")
        mirror = [os.environ["MIRROR"]] if os.environ.get("MIRROR") else []
        options = ["--quiet", "--mode=root", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
        hook = ['--customize-hook=chroot "$1" sh -c "$RECIPE" >&2']
        done = subprocess.run(
            [mmdebstrap, *options, *hook, SUITE, tree, *mirror],
            env={**os.environ, "INITRD": "No", "TMPDIR": folder, "RECIPE": RECIPE},
            capture_output=True,
            text=True,
            timeout=BUILD_TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            raise LabError(f"netdevsim could not be built: {done.stderr[-2000:]}")
        shutil.move(tree / "out", final)
    return final


def make_initrd(made: Path) -> bytes:
    """The guest's initial RAM disk: busybox, the modules, and what mounts the root."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise LabError("busybox is not installed: setup/system test")
    entries = [
        ("init", 0o755, (HERE / "netdevsim-init.sh").read_bytes()),
        ("bin/busybox", 0o755, Path(busybox).read_bytes()),
    ]
    for module in sorted((made / "modules").iterdir()):
        entries.append((f"modules/{module.name}", 0o644, module.read_bytes()))
    return archive(entries)


def run_scenarios() -> Json:
    """What the guest told of every scenario; from an earlier run where nothing has changed."""
    qemu = tool("qemu-system-x86_64")
    made = kernel_and_modules()
    files = [path for name in INGREDIENTS for path in sorted(CHECKOUT.glob(name))]
    key = digest([made.name.encode(), *(path.read_bytes() for path in files)])
    told = image_cache() / "netdevsim-told" / f"{key}.json"
    if not told.exists():
        result = boot(qemu, made)
        told.parent.mkdir(parents=True, exist_ok=True)
        for old in told.parent.iterdir():
            old.unlink()
        told.write_text(json.dumps(result, indent=1))
    return dict(json.loads(told.read_text()))


def boot(qemu: str, made: Path) -> Json:
    """Boot the guest, and return what it told before it switched itself off."""
    with tempfile.TemporaryDirectory() as folder:
        initrd = Path(folder, "initrd")
        initrd.write_bytes(make_initrd(made))
        root = "local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap"
        command = [qemu, "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max"]
        command += ["-smp", "2", "-m", str(MEMORY_MIB), "-no-reboot", "-nodefaults"]
        command += ["-no-user-config", "-display", "none", "-serial", "stdio", "-virtfs", root]
        command += ["-kernel", str(made / "vmlinuz"), "-initrd", str(initrd)]
        command += ["-append", f"console=ttyS0 quiet panic=-1 checkout={CHECKOUT}"]
        log = CHECKOUT / "build/netdevsim-guest.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("wb") as console:
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                timeout=GUEST_TIMEOUT_S,
                check=False,
            )
    lines = log.read_text(errors="replace").splitlines()
    told = [line.removeprefix(MARKER) for line in lines if line.startswith(MARKER)]
    assert told, f"the guest told nothing; its console is {log}: {lines[-20:]}"
    return dict(json.loads(told[-1]))
