"""Signatures of receipts, and whose keys count: everything that ssh-keygen(1) is asked.

A device's key lies in `$FIELDTAP_KEY_DIR`; else in /var/lib/fieldtap/keys, or in
`$XDG_STATE_HOME/fieldtap`. Beside it, `allowed_signers` may name keys of other devices, in the
format of ssh-keygen(1), ALLOWED SIGNERS.
"""

import base64
import binascii
import hashlib
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

NAMESPACE = "fieldtap"
KEY_NAME = "receipt_ed25519"
ALLOWED_NAME = "allowed_signers"
SYSTEM_KEY_DIR = Path("/var/lib/fieldtap/keys")
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Signature:
    """What is known of a signature.

    `valid` is None where nothing could be checked, for `reason`; `signer` is the name under which
    the key is known here, None for a key that is not.
    """

    valid: bool | None
    fingerprint: str | None = None
    signer: str | None = None
    reason: str | None = None


def key_dirs() -> list[Path]:
    """Return the folders of keys that count here."""
    if explicit := os.environ.get("FIELDTAP_KEY_DIR"):
        return [Path(explicit)]
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return [SYSTEM_KEY_DIR, Path(state) / "fieldtap"]


def device_keys() -> list[str]:
    """Return this device's public keys that can be read, each "ssh-ed25519 AAAA... comment"."""
    texts = [_read_text(folder / f"{KEY_NAME}.pub") for folder in key_dirs()]
    return [text.strip() for text in texts if text and fingerprint(text)]


def fingerprint(public_key: str) -> str | None:
    """Return the fingerprint of a public key as OpenSSH prints it; None where it is no key."""
    words = public_key.split()
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (IndexError, binascii.Error):
        return None
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"


def check(data: bytes, signature: Path) -> Signature:
    """Judge the signature of `data`, and whether its key is known here."""
    try:
        known = _run("-Y", "check-novalidate", "-n", NAMESPACE, "-s", signature, data=data)
        if known.returncode != 0:
            return Signature(valid=False, reason=_words(known))
        match = re.search(rb"\bSHA256:[A-Za-z0-9+/]+", known.stdout)
        print_of_key = match[0].decode() if match else None
        signer = _find_signer(data, signature)
        return Signature(valid=True, fingerprint=print_of_key, signer=signer)
    except FileNotFoundError:
        return Signature(None, reason="ssh-keygen is not installed")
    except subprocess.TimeoutExpired:
        return Signature(None, reason="ssh-keygen does not answer")


def _find_signer(data: bytes, signature: Path) -> str | None:
    with tempfile.NamedTemporaryFile("w", suffix=".allowed_signers") as allowed:
        allowed.write(_allowed_signers())
        allowed.flush()
        found = _run("-Y", "find-principals", "-s", signature, "-f", allowed.name)
        if found.returncode != 0:
            return None
        for signer in found.stdout.decode(errors="replace").split():
            who = ("-f", allowed.name, "-I", signer)
            options = ("-n", NAMESPACE, "-s", signature)
            if _run("-Y", "verify", *who, *options, data=data).returncode == 0:
                return signer
    return None


def _allowed_signers() -> str:
    texts = [_read_text(folder / ALLOWED_NAME) or "" for folder in key_dirs()]
    own = [f'this-device namespaces="{NAMESPACE}" {key}' for key in device_keys()]
    return "\n".join([*own, *texts]) + "\n"


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None


def _run(*options: str | Path, data: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    command = ["ssh-keygen", *(os.fspath(option) for option in options)]
    return subprocess.run(command, input=data, capture_output=True, check=False, timeout=TIMEOUT_S)


def _words(done: "subprocess.CompletedProcess[bytes]") -> str:
    lines = (done.stderr + done.stdout).decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"ssh-keygen: exit code {done.returncode}"
