"""What each stage makes, given where to put it. `pipeline` decides which of them are needed."""

from __future__ import annotations

import hashlib
import shutil
import sys
import uuid
from pathlib import Path

from fieldtap_image import packages, trees
from fieldtap_image.commands import run
from fieldtap_image.normalise import normalise
from fieldtap_image.settings import Settings

SUITE = "trixie"
MINUTE_S = 60.0
# Partition ids come from this, so that they are the same in every build.
SEED = uuid.uuid5(uuid.NAMESPACE_DNS, "fieldtap")


def make_tools(settings: Settings, folder: Path) -> None:
    """tree/: Debian 13 with the tools that make the disk."""
    tar = folder / "tools.tar"
    _mmdebstrap(settings, tar, packages.named_in(settings.definitions / "tools.packages"), "tools")
    trees.unpack(tar, folder / "tree")
    tar.unlink()


def make_rootfs(settings: Settings, folder: Path, names: list[str]) -> None:
    """rootfs.tar: a minimal Debian 13 with a kernel and the packages `names`."""
    _mmdebstrap(settings, folder / "rootfs.tar", names, "rootfs")


def _mmdebstrap(settings: Settings, tar: Path, names: list[str], log: str) -> None:
    mirror = [settings.mirror] if settings.mirror else []
    run(
        [
            "mmdebstrap",
            "--mode=root",
            "--variant=minbase",
            f"--include={','.join(names)}",
            SUITE,
            tar,
            *mirror,
        ],
        timeout_s=30 * MINUTE_S,
        log=settings.logs / f"{log}.log",
        # INITRD: the kernel package must not make an initrd of its own; `make_initrd` does.
        environment={"INITRD": "No", "TMPDIR": str(tar.parent)},
        hint="the packages come from the default Debian mirror; set MIRROR=URL for another",
    )


def make_initrd(settings: Settings, folder: Path, rootfs: Path) -> None:
    """initrd and vmlinuz of the kernel in `rootfs`."""
    tree = folder / "tree"
    trees.unpack(rootfs / "rootfs.tar", tree)
    (kernel,) = (tree / "usr/lib/modules").iterdir()
    shutil.copy(settings.definitions / "initrd.conf", tree / "etc/initrd.conf")
    with trees.mounts(tree):
        trees.run_in(
            tree,
            ["dracut", "--conf", "/etc/initrd.conf", "--kver", kernel.name, "/initrd"],
            timeout_s=10 * MINUTE_S,
            log=settings.logs / "initrd.log",
            environment={"SOURCE_DATE_EPOCH": "0"},
        )
    shutil.copyfile(tree / "initrd", folder / "initrd")
    shutil.copyfile(tree / "boot" / f"vmlinuz-{kernel.name}", folder / "vmlinuz")
    shutil.rmtree(tree)


def make_root(settings: Settings, folder: Path, rootfs: Path) -> None:
    """root/: `rootfs` with the roles applied and nothing that varies; packages.json beside it."""
    tree = folder / "root"
    trees.unpack(rootfs / "rootfs.tar", tree)
    playbook = Path(sys.executable).with_name("ansible-playbook")
    with trees.mounts(tree):
        run(
            # Without a network: what the roles install must already be in the tree.
            [
                "unshare",
                "--net",
                playbook,
                "--inventory=inventories/image.yml",
                f"--extra-vars=image_tree={tree}",
                f"--extra-vars=engine_source_dir={settings.engine}",
                f"--extra-vars=console_source_dir={settings.console}",
                "site.yml",
            ],
            timeout_s=20 * MINUTE_S,
            log=settings.logs / "provision.log",
            folder=settings.provision,
            environment={"ANSIBLE_HOME": str(folder / "ansible"), "ANSIBLE_NOCOLOR": "1"},
        )
    shutil.rmtree(folder / "ansible", ignore_errors=True)
    (folder / "packages.json").write_text(packages.manifest(tree))
    normalise(tree, version=settings.version, source_date_epoch=settings.source_date_epoch)


def make_disk(settings: Settings, folder: Path, *, tools: Path, initrd: Path, root: Path) -> None:
    """fieldtap.raw, SHA256SUMS and packages.json: what is handed out."""
    stage = folder / "stage"
    _make_esp(settings, stage / "esp", tools=tools, initrd=initrd)
    shutil.copytree(settings.definitions / "repart.d", stage / "repart.d")
    (stage / "root").mkdir()
    shown = {stage: "/stage", root / "root": "/stage/root"}
    with trees.mounts(tools / "tree", shown):
        trees.run_in(
            tools / "tree",
            [
                "systemd-repart",
                "--offline=yes",
                "--empty=create",
                "--size=auto",
                # Firmware finds no FAT with larger sectors, which repart takes from this machine.
                "--sector-size=512",
                "--architecture=x86-64",
                f"--seed={SEED}",
                "--definitions=/stage/repart.d",
                "--copy-source=/stage",
                "--dry-run=no",
                "--no-pager",
                "/stage/fieldtap.raw",
            ],
            timeout_s=20 * MINUTE_S,
            log=settings.logs / "disk.log",
            environment={"SOURCE_DATE_EPOCH": str(settings.source_date_epoch)},
        )
    (stage / "fieldtap.raw").rename(folder / "fieldtap.raw")
    shutil.rmtree(stage)
    shutil.copy(root / "packages.json", folder)
    _write_sums(folder, ["fieldtap.raw", "packages.json"])


def _make_esp(settings: Settings, esp: Path, *, tools: Path, initrd: Path) -> None:
    loader = tools / "tree/usr/lib/systemd/boot/efi/systemd-bootx64.efi.signed"
    for place in ("EFI/BOOT/BOOTX64.EFI", "EFI/systemd/systemd-bootx64.efi"):
        (esp / place).parent.mkdir(parents=True)
        shutil.copyfile(loader, esp / place)
    shutil.copytree(settings.definitions / "loader", esp / "loader")
    (esp / "fieldtap").mkdir()
    for name in ("vmlinuz", "initrd"):
        shutil.copyfile(initrd / name, esp / "fieldtap" / name)


def _write_sums(folder: Path, names: list[str]) -> None:
    lines = []
    for name in names:
        with (folder / name).open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
    (folder / "SHA256SUMS").write_text("".join(lines))
