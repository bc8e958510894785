"""What is taken out of a tree before it becomes an image."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fieldtap_image.errors import ImageError
from fieldtap_image.normalise import SECONDS_PER_DAY, normalise

EPOCH = 20_000 * SECONDS_PER_DAY + 12_345


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A system's tree as provisioning leaves it, cut down to what carries identity."""
    contents = {
        "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
        "etc/shadow": "root:*:19000:0:99999:7:::\nfieldtap:!:20500::::::\n",
        "etc/shadow-": "root:$y$secret:19000:0:99999:7:::\n",
        "etc/resolv.conf": "nameserver 192.0.2.1\n",
        "etc/ssh/ssh_host_ed25519_key": "secret",
        "etc/ssh/ssh_host_ed25519_key.pub": "public",
        "etc/ssh/sshd_config": "kept",
        "root/.ansible/tmp/x": "x",
        "tmp/left": "x",
        "usr/lib/os-release": "ID=debian\n",
        "var/cache/apt/pkgcache.bin": "x",
        "var/lib/systemd/random-seed": "seed",
        "var/log/apt/history.log": "x",
        "var/lib/apt/lists/some_Packages": "x",
        "boot/vmlinuz-6": "kernel",
    }
    for name, content in contents.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    normalise(tmp_path, version="1.2.3", source_date_epoch=EPOCH)
    return tmp_path


def test_keys_seeds_logs_and_caches_are_gone(tree: Path) -> None:
    gone = ["etc/shadow-", "etc/resolv.conf", "etc/ssh/ssh_host_ed25519_key", "root/.ansible"]
    gone += ["etc/ssh/ssh_host_ed25519_key.pub", "tmp/left", "var/cache/apt", "var/log/apt"]
    gone += ["var/lib/systemd/random-seed", "var/lib/apt/lists/some_Packages", "boot/vmlinuz-6"]
    assert [name for name in gone if (tree / name).exists()] == []
    assert (tree / "etc/ssh/sshd_config").read_text() == "kept"


def test_the_machine_id_is_empty(tree: Path) -> None:
    assert (tree / "etc/machine-id").read_text() == ""


def test_the_day_of_the_last_password_change_is_that_of_the_source(tree: Path) -> None:
    lines = (tree / "etc/shadow").read_text().splitlines()
    assert [line.split(":")[2] for line in lines] == ["20000", "20000"]


def test_the_image_says_which_it_is(tree: Path) -> None:
    assert (tree / "usr/lib/os-release").read_text().splitlines() == [
        "ID=debian",
        "IMAGE_ID=fieldtap",
        "IMAGE_VERSION=1.2.3",
    ]


def test_nothing_is_younger_than_the_source(tree: Path) -> None:
    young = [path for path in tree.rglob("*") if path.lstat().st_mtime > EPOCH]
    assert young == []


def test_what_is_older_than_the_source_keeps_its_time(tmp_path: Path, tree: Path) -> None:
    old = tmp_path / "etc" / "old"
    old.write_text("x")
    os.utime(old, (1000, 1000))
    normalise(tree, version="1", source_date_epoch=EPOCH)
    assert old.stat().st_mtime == 1000


@pytest.mark.parametrize("password", ["", "$y$j9T$salt$hash", "x"])
def test_an_account_that_a_password_could_open_stops_the_build(tree: Path, password: str) -> None:
    (tree / "etc/shadow").write_text(f"root:{password}:19000::::::\n")
    with pytest.raises(ImageError, match="account root is not locked"):
        normalise(tree, version="1", source_date_epoch=EPOCH)
