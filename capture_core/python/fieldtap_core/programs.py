"""Where the engine programs are."""

import os
import shutil
import sys
from pathlib import Path

from fieldtap_core.errors import EngineError

INSTALLED_DIR = Path("/usr/local/bin")


def find_program(name: str) -> Path:
    """Return the path of an engine program such as "ft-capture". Raises `EngineError`.

    Searched in this order: $FIELDTAP_BIN_DIR alone, where it is set; the directory of the running
    program; PATH; /usr/local/bin.
    """
    if explicit := os.environ.get("FIELDTAP_BIN_DIR"):
        path = Path(explicit) / name
        if _runs(path):
            return path.absolute()
        raise EngineError(f"{name} is not in {explicit}, where FIELDTAP_BIN_DIR points")
    own = Path(sys.argv[0]).absolute()
    on_path = shutil.which(name)
    beside = [own.parent / name, own.resolve().parent / name]
    for path in [*beside, *([Path(on_path)] if on_path else []), INSTALLED_DIR / name]:
        if _runs(path):
            return path.absolute()
    unusable = next((path for path in [*beside, INSTALLED_DIR / name] if path.exists()), None)
    if unusable is not None:
        raise EngineError(f"{unusable} may not be executed: join the group fieldtap")
    raise EngineError(f"{name} was not found beside {own}, in PATH or in {INSTALLED_DIR}")


def _runs(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
