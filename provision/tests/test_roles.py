"""The roles on a tree: what they leave there, and that they leave it alone the second time."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from roletree import SOURCE, Converged, fresh_tree, play

__all__ = ["fresh_tree"]

PROGRAMS = ("ft-capture", "ft-generate", "ft-reflect")
"""Those that open ports."""


@pytest.fixture(scope="session")
def converged(fresh_tree: Path) -> Converged:
    """The tree after the roles; skips where what they install is not built."""
    wanted = [*(f"engine/{program}" for program in PROGRAMS), "frozen/fieldtap/fieldtap"]
    if missing := [name for name in wanted if not (SOURCE / "build" / name).exists()]:
        pytest.skip(f"not built: {', '.join(missing)} (make build freeze)")
    options = ["--extra-vars", f"image_tree={fresh_tree}"]
    first = play(*options)
    assert first.code == 0, first.output[-4000:]
    return Converged(fresh_tree, first, play(*options), play("--check", *options))


pytestmark = pytest.mark.root


def in_tree(tree: Path, *argv: str) -> str:
    result = subprocess.run(
        ["chroot", tree, *argv], capture_output=True, text=True, check=True, timeout=60
    )
    return result.stdout


def owner(tree: Path, name: str) -> str:
    return in_tree(tree, "stat", "--format=%U:%G %a", f"/{name}").strip()


def test_check_mode_on_a_fresh_tree_fails_at_nothing_and_changes_nothing(fresh_tree: Path) -> None:
    if (fresh_tree / "opt/fieldtap").exists():
        pytest.skip("the tree is converged already")
    units = fresh_tree / "etc/systemd/system"
    before = sorted(units.iterdir())
    recap = play("--check", "--extra-vars", f"image_tree={fresh_tree}")
    assert recap.failed == 0, recap.output[-4000:]
    assert sorted(units.iterdir()) == before
    assert not (fresh_tree / "opt/fieldtap").exists()


def test_a_second_run_changes_nothing(converged: Converged) -> None:
    assert converged.first.changed > 0
    assert (converged.second.code, converged.second.changed) == (0, 0), converged.second.output


def test_check_mode_finds_nothing_to_change(converged: Converged) -> None:
    assert (converged.check.code, converged.check.changed) == (0, 0), converged.check.output


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_are_for_the_group_and_start_with_their_capabilities(
    converged: Converged, program: str
) -> None:
    assert owner(converged.tree, f"usr/local/bin/{program}") == "root:fieldtap 750"
    wanted = "cap_net_admin,cap_net_raw,cap_ipc_lock,cap_sys_nice,cap_bpf=ep"
    assert in_tree(converged.tree, "getcap", f"/usr/local/bin/{program}").split()[1] == wanted


def test_programs_find_all_that_they_load(converged: Converged) -> None:
    for program in PROGRAMS:
        assert "not found" not in in_tree(converged.tree, "ldd", f"/usr/local/bin/{program}")


def test_the_user_of_the_console_is_unprivileged_and_has_no_password(converged: Converged) -> None:
    name, password, *_ = in_tree(converged.tree, "getent", "shadow", "fieldtap").split(":")
    assert (name, password[0]) == ("fieldtap", "!")
    uid, gid = in_tree(converged.tree, "getent", "passwd", "fieldtap").split(":")[2:4]
    assert int(uid) > 0
    assert int(gid) > 0


def test_captures_have_a_place_that_the_group_may_write(converged: Converged) -> None:
    assert owner(converged.tree, "var/lib/fieldtap/captures") == "fieldtap:fieldtap 2770"
    tmpfiles = (converged.tree / "etc/tmpfiles.d/fieldtap.conf").read_text()
    assert "d /run/fieldtap 2775 root fieldtap -" in tmpfiles


def test_the_key_of_receipts_has_a_place_that_the_group_may_read(converged: Converged) -> None:
    assert owner(converged.tree, "var/lib/fieldtap/keys") == "fieldtap:fieldtap 750"


def test_the_console_takes_tty1_and_no_login_prompt_is_left(converged: Converged) -> None:
    units = converged.tree / "etc/systemd/system"
    assert (units / "multi-user.target.wants/fieldtap-console.service").is_symlink()
    for unit in ("getty@.service", "serial-getty@.service"):
        assert (units / unit).readlink() == Path("/dev/null")


def test_the_command_leads_to_the_frozen_console(converged: Converged) -> None:
    command = converged.tree / "usr/local/bin/fieldtap"
    assert command.readlink() == Path("/opt/fieldtap/fieldtap")
    mode = (converged.tree / "opt/fieldtap/fieldtap").stat().st_mode
    assert mode & stat.S_IXOTH


def test_every_ethernet_port_is_kept_silent(converged: Converged) -> None:
    network = (converged.tree / "etc/systemd/network/10-fieldtap-quiet.network").read_text()
    for line in ("Name=en* eth*", "LinkLocalAddressing=no", "DHCP=no", "LLDP=no", "ARP=no"):
        assert line in network.splitlines()
    settings = (converged.tree / "etc/sysctl.d/60-fieldtap-quiet.conf").read_text()
    assert "net.ipv6.conf.en*.disable_ipv6 = 1" in settings


@pytest.mark.parametrize(
    "unit", ["fieldtap-capture@.service", "fieldtap-console.service", "fieldtap-selftest.service"]
)
def test_systemd_finds_nothing_wrong_with_a_unit(converged: Converged, unit: str) -> None:
    instance = unit.replace("@.", "@uplink.")
    verify = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=one"]
    result = subprocess.run(
        ["chroot", str(converged.tree), *verify, f"/etc/systemd/system/{instance}"],
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = [line for line in result.stderr.splitlines() if "fieldtap" in line]
    assert complaints == []


def test_an_installed_console_is_replaced_as_a_whole(converged: Converged, tmp_path: Path) -> None:
    frozen = tmp_path / "fieldtap"
    frozen.mkdir()
    shutil.copy("/bin/true", frozen / "fieldtap")
    tree_options = ["--extra-vars", f"image_tree={converged.tree}"]
    replaced = play(
        *tree_options, "--extra-vars", f"console_source_dir={frozen}", "--tags", "console_install"
    )
    assert replaced.code == 0, replaced.output[-4000:]
    left = {path.name for path in (converged.tree / "opt/fieldtap").iterdir()}
    assert {name for name in left if not name.startswith(".installed-")} == {"fieldtap"}
    restored = play(*tree_options, "--tags", "console_install")
    assert restored.code == 0, restored.output[-4000:]
