"""The connection to a tree: above all, what it takes for one."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
from ansible.errors import AnsibleError
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader
from roletree import PROVISION, fresh_tree, play

__all__ = ["fresh_tree"]

PLUGIN = PROVISION / "plugins/connection/fieldtap_chroot.py"


@pytest.fixture(scope="module")
def plugin() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fieldtap_chroot", PLUGIN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The least that passes for a system: a shell's name."""
    shell = tmp_path / "tree" / "bin" / "sh"
    shell.parent.mkdir(parents=True)
    shell.touch()
    return tmp_path / "tree"


def test_a_tree_with_a_shell_is_taken(plugin: ModuleType, tree: Path) -> None:
    assert plugin.checked_tree(str(tree)) == tree


@pytest.mark.parametrize("spelling", ["/", "//", "/..", "/usr/..", "/./", "/proc/self/root"])
def test_the_own_root_is_refused_however_it_is_spelled(plugin: ModuleType, spelling: str) -> None:
    with pytest.raises(AnsibleError, match="own root"):
        plugin.checked_tree(spelling)


def test_a_symbolic_link_to_the_own_root_is_refused(plugin: ModuleType, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/")
    with pytest.raises(AnsibleError, match="own root"):
        plugin.checked_tree(str(link))


@pytest.mark.root
def test_a_bind_mount_of_the_own_root_is_refused(plugin: ModuleType, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    point = tmp_path / "point"
    point.mkdir()
    if subprocess.run(["mount", "--bind", "/", point], check=False).returncode != 0:
        pytest.skip("this machine does not let root mount")
    try:
        with pytest.raises(AnsibleError, match="own root"):
            plugin.checked_tree(str(point))
    finally:
        subprocess.run(["umount", point], check=True)


def test_what_is_no_tree_is_refused(plugin: ModuleType, tmp_path: Path) -> None:
    for path, reason in (
        ("relative/tree", "absolute"),
        (str(tmp_path / "absent"), "no such directory"),
        (str(tmp_path), "holds no system"),
    ):
        with pytest.raises(AnsibleError, match=reason):
            plugin.checked_tree(path)


@pytest.mark.root
def test_a_play_on_the_own_root_stops_before_its_first_task() -> None:
    if os.geteuid() != 0:
        pytest.skip("chroot needs root")
    recap = play("--extra-vars", "image_tree=/")
    assert recap.code != 0
    assert "own root" in recap.output
    assert recap.changed == 0


@pytest.mark.root
def test_files_and_commands_go_through_whole(fresh_tree: Path, tmp_path: Path) -> None:
    connection_loader.add_directory(str(PLUGIN.parent))
    connection = connection_loader.get("fieldtap_chroot", PlayContext())
    connection.set_options(var_options={"ansible_host": str(fresh_tree)})
    connection._connect()
    content = bytes(range(256)) * 5000
    sent, fetched = tmp_path / "sent", tmp_path / "fetched"
    sent.write_bytes(content)
    # A link that is absolute in the tree must not lead out of it.
    (fresh_tree / "srv/link").symlink_to("/srv/target")
    connection.put_file(str(sent), "/srv/link")
    assert (fresh_tree / "srv/target").read_bytes() == content
    connection.fetch_file("/srv/link", str(fetched))
    assert fetched.read_bytes() == content
    code, stdout, stderr = connection.exec_command("cat; pwd; echo no >&2; exit 3", in_data=b"in ")
    assert (code, stdout, stderr) == (3, b"in /\n", b"no\n")
    with pytest.raises(AnsibleError, match="/srv/absent"):
        connection.fetch_file("/srv/absent", str(fetched))
    for name in ("link", "target"):
        (fresh_tree / "srv" / name).unlink()
