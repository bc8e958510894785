"""Connection to a directory tree that holds a Debian system: commands run in it by chroot(8).

With this plugin ansible-core alone can provision an image; nothing in the tree has to run. The
machine's own root is refused, however it is spelled, because a role that believes it writes an
image would change the machine that builds it.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.connection import ConnectionBase
from ansible.utils.display import Display

DOCUMENTATION = """
name: fieldtap_chroot
short_description: Run tasks in a directory tree by chroot
description:
  - Runs commands and copies files inside a directory tree that holds a Debian system.
  - Needs root on the controller. Refuses the machine's own root.
author: Fieldtap
options:
  tree:
    description: The directory, absolute.
    required: true
    vars:
      - name: inventory_hostname
      - name: ansible_host
"""

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

display = Display()


def checked_tree(path: str) -> Path:
    """The tree at `path`, resolved; AnsibleError when it is no system or the machine's own root.

    The comparison is by device and inode, so that `..`, symbolic links and bind mounts of `/` are
    recognised too.
    """
    if not Path(path).is_absolute():
        raise AnsibleError(f"tree {path!r}: must be an absolute path")
    tree = Path(path).resolve()
    if not tree.is_dir():
        raise AnsibleError(f"tree {path}: no such directory")
    if os.path.samestat(tree.stat(), Path("/").stat()):
        raise AnsibleError(
            f"tree {path}: is this machine's own root; use the local inventory for that"
        )
    if not os.path.lexists(tree / "bin" / "sh"):
        raise AnsibleError(f"tree {path}: holds no system (no bin/sh)")
    return tree


class Connection(ConnectionBase):  # type: ignore[misc]
    """One tree; there is no session to open, so connecting only checks."""

    transport = "fieldtap_chroot"
    has_pipelining = True
    has_tty = False
    _connected: bool

    def _connect(self) -> Connection:
        if not self._connected:
            if os.geteuid() != 0:
                raise AnsibleError("the chroot connection needs root; run as root or with sudo")
            self._tree = checked_tree(self.get_option("tree"))
            display.vvv(f"tree {self._tree}", host=self._play_context.remote_addr)
            self._connected = True
        return self

    def exec_command(
        self,
        cmd: str,
        in_data: bytes | None = None,
        sudoable: bool = True,
    ) -> tuple[int, bytes, bytes]:
        """Run the shell command `cmd` in the tree: exit code, standard output, standard error."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        return self._run(["/bin/sh", "-c", cmd], stdin=in_data or b"")

    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy a file of the controller to `out_path` as the tree sees it."""
        super().put_file(in_path, out_path)
        self._copy(
            ["dd", "bs=1M", "status=none", f"of={out_path}"],
            out_path,
            stdin=Path(in_path).read_bytes(),
        )

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Copy `in_path` as the tree sees it to a file of the controller."""
        super().fetch_file(in_path, out_path)
        content = self._copy(["dd", "bs=1M", "status=none", f"if={in_path}"], in_path)
        Path(out_path).write_bytes(content)

    def close(self) -> None:
        self._connected = False

    def _copy(self, argv: list[str], path: str, stdin: bytes = b"") -> bytes:
        # Inside the tree, so that its symbolic links are followed there and never lead out of it.
        code, stdout, stderr = self._run(argv, stdin)
        if code != 0:
            raise AnsibleConnectionFailure(
                f"cannot copy {path}: {stderr.decode(errors='replace').strip()}"
            )
        return stdout

    def _run(self, argv: list[str], stdin: bytes) -> tuple[int, bytes, bytes]:
        # SYSTEMD_OFFLINE: systemctl edits the tree's links and looks for no running systemd.
        environment = {
            "PATH": SEARCH_PATH,
            "HOME": "/root",
            "LC_ALL": "C.UTF-8",
            "SYSTEMD_OFFLINE": "1",
            "DEBIAN_FRONTEND": "noninteractive",
        }
        result = subprocess.run(
            ["chroot", os.fspath(self._tree), *argv],
            input=stdin,
            capture_output=True,
            env=environment,
            check=False,
        )
        return result.returncode, result.stdout, result.stderr
