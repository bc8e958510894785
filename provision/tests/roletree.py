"""The roles applied to a small Debian tree, and what Ansible said of it."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

PROVISION = Path(__file__).parents[1]
SOURCE = PROVISION.parent
# Beside the packages that the roles name: what Ansible and the units need in a tree.
PACKAGES = ["python3", "python3-apt", "systemd-sysv", "udev"]


@dataclass(frozen=True)
class Recap:
    """How one run of the playbook ended."""

    code: int
    changed: int
    failed: int
    output: str


@dataclass(frozen=True)
class Converged:
    """A tree after two runs of the playbook and one in check mode."""

    tree: Path
    first: Recap
    second: Recap
    check: Recap


def play(*options: str) -> Recap:
    """Run the playbook on the image's inventory."""
    playbook = Path(sys.executable).with_name("ansible-playbook")
    command = [str(playbook), "--inventory", "inventories/image.yml", "site.yml", *options]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    result = subprocess.run(
        command,
        cwd=PROVISION,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    output = result.stdout + result.stderr
    counts = dict(re.findall(r"(changed|failed|unreachable)=(\d+)", output))
    failed = int(counts.get("failed", 0)) + int(counts.get("unreachable", 0))
    return Recap(result.returncode, int(counts.get("changed", 0)), failed, output)


def role_packages() -> list[str]:
    names: set[str] = set(PACKAGES)
    for defaults in PROVISION.glob("roles/*/defaults/main.yml"):
        names.update(yaml.safe_load(defaults.read_text())[f"{defaults.parents[1].name}_packages"])
    return sorted(names)


def debian_tar() -> Path:
    """A tar of a minimal Debian 13 with the roles' packages, made once for each list of them."""
    names = role_packages()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(os.environ.get("FIELDTAP_CACHE") or Path(base, "fieldtap")) / "provision-test"
    tar = cache / f"{hashlib.sha256(','.join(names).encode()).hexdigest()[:32]}.tar"
    if not tar.exists():
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = cache / "unfinished.tar"
        mirror = [os.environ["MIRROR"]] if os.environ.get("MIRROR") else []
        options = ["--quiet", "--mode=root", "--variant=minbase", f"--include={','.join(names)}"]
        subprocess.run(["mmdebstrap", *options, "trixie", unfinished, *mirror], check=True)
        for old in cache.glob("*.tar"):
            if old != unfinished:
                old.unlink()
        unfinished.rename(tar)
    return tar


@pytest.fixture(scope="session")
def fresh_tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Debian tree that nothing was done to yet; skips where it cannot be had."""
    if os.geteuid() != 0:
        pytest.skip("chroot needs root")
    if shutil.which("mmdebstrap") is None:
        pytest.skip("mmdebstrap is not installed: setup/system image")
    tree = tmp_path_factory.mktemp("provision") / "tree"
    tree.mkdir()
    subprocess.run(["tar", "-xf", debian_tar(), "-C", tree, "--numeric-owner"], check=True)
    yield tree
    shutil.rmtree(tree)
