"""From packages to a raw disk image: the stages, what each depends on, and what is handed out.

    tools  -----------------------------+
    rootfs --> initrd ------------------+--> disk
           --> root (Ansible, normalise) +

A stage runs when something that it depends on changed: a line of C means root and disk again, a
package in a list everything.
"""

from __future__ import annotations

import os
from pathlib import Path

from fieldtap_image import packages, progress, stages
from fieldtap_image.cache import Cache, digest, digest_tree
from fieldtap_image.commands import run
from fieldtap_image.errors import ImageError
from fieldtap_image.settings import Settings

ENGINE_PROGRAMS = ("ft-capture", "ft-extract", "ft-generate", "ft-reflect")
HANDED_OUT = ("fieldtap.raw", "SHA256SUMS", "packages.json")


def build(settings: Settings) -> None:
    """Leave the image, its digests and its package list in `settings.output`."""
    check_host(settings)
    cache = Cache(settings.cache)
    with cache.locked():
        tools, rootfs = _bootstrap(settings, cache)
        initrd = _initrd(settings, cache, rootfs)
        root = _root(settings, cache, rootfs)
        definitions = settings.definitions
        key = digest(
            tools.name,
            initrd.name,
            root.name,
            settings.source_date_epoch,
            digest_tree([definitions / "repart.d", definitions / "loader"]),
        )
        disk = cache.stage(
            "disk",
            key,
            "partitions and file systems",
            lambda folder: stages.make_disk(
                settings, folder, tools=tools, initrd=initrd, root=root
            ),
        )
        hand_out(disk, settings.output)
    size = settings.image.stat()
    progress.say(
        "done",
        f"{settings.image}: {size.st_size >> 20} MiB, {size.st_blocks >> 11} MiB of them filled",
    )


def check_host(settings: Settings) -> None:
    """ImageError for what would otherwise fail half an hour later, with a poorer message."""
    if os.geteuid() != 0:
        raise ImageError(
            "building the image needs root (chroot, mounts, owners)", hint="sudo make image"
        )
    for program in ENGINE_PROGRAMS:
        if not (settings.engine / program).is_file():
            raise ImageError(f"{settings.engine / program}: not built", hint="make build")
    if not (settings.console / "fieldtap").is_file():
        raise ImageError(
            f"{settings.console}/fieldtap: the console is not frozen", hint="make freeze"
        )


def hand_out(disk: Path, output: Path) -> None:
    """Copy what is handed out, keeping holes."""
    output.mkdir(parents=True, exist_ok=True)
    for name in HANDED_OUT:
        run(["cp", "--sparse=always", "--reflink=auto", disk / name, output / name], timeout_s=300)


def _bootstrap(settings: Settings, cache: Cache) -> tuple[Path, Path]:
    tools_names = packages.named_in(settings.definitions / "tools.packages")
    root_names = packages.named_in(settings.definitions / "rootfs.packages")
    root_names = sorted({*root_names, *packages.of_roles(settings.provision / "roles")})
    common = (_code("stages.py", "trees.py"), settings.mirror)
    tools = cache.stage(
        "tools",
        digest(*common, *tools_names),
        "Debian 13's disk tools",
        lambda folder: stages.make_tools(settings, folder),
    )
    rootfs = cache.stage(
        "rootfs",
        digest(*common, *root_names),
        f"Debian 13 with {len(root_names)} packages and what they need",
        lambda folder: stages.make_rootfs(settings, folder, root_names),
    )
    return tools, rootfs


def _initrd(settings: Settings, cache: Cache, rootfs: Path) -> Path:
    return cache.stage(
        "initrd",
        digest(rootfs.name, digest_tree([settings.definitions / "initrd.conf"])),
        "kernel and initrd",
        lambda folder: stages.make_initrd(settings, folder, rootfs),
    )


def _root(settings: Settings, cache: Cache, rootfs: Path) -> Path:
    provision = settings.provision
    recipe = [provision / "site.yml", provision / "ansible.cfg", provision / "plugins"]
    recipe += [provision / "inventories" / "image.yml", provision / "roles"]
    programs = [settings.engine / program for program in ENGINE_PROGRAMS]
    key = digest(
        rootfs.name,
        settings.version,
        settings.source_date_epoch,
        digest_tree([*recipe, *programs, settings.console]),
        _code("normalise.py"),
    )
    return cache.stage(
        "root",
        key,
        "roles applied, identity removed",
        lambda folder: stages.make_root(settings, folder, rootfs),
    )


def _code(*modules: str) -> str:
    """Digest of modules of this package: what a stage does is an input of it."""
    return digest_tree([Path(__file__).with_name(module) for module in modules])
