"""Where everything is: one value that every step takes, read once from the environment."""

from __future__ import annotations

import os
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fieldtap_image.errors import ImageError

# The parts of the checkout that end up in the image. Its time stamp is that of their last commit,
# so that a commit to the documentation alone gives the same image.
INGREDIENTS = (
    "capture_core",
    "hardware",
    "image",
    "provision",
    "pyproject.toml",
    "requirements",
    "tui",
)


@dataclass(frozen=True)
class Settings:
    """Paths and values of one build."""

    source: Path
    cache: Path
    output: Path
    engine: Path
    """Folder of the built engine programs."""
    console: Path
    """Folder of the frozen console."""
    version: str
    source_date_epoch: int
    """Seconds since 1970; no file of the image is younger."""
    mirror: str | None = None
    """A Debian mirror, or what else mmdebstrap takes as one; None is mmdebstrap's default."""

    @property
    def image(self) -> Path:
        return self.output / "fieldtap.raw"

    @property
    def logs(self) -> Path:
        return self.output / "logs"

    @property
    def provision(self) -> Path:
        return self.source / "provision"

    @property
    def definitions(self) -> Path:
        return self.source / "image"


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings for the checkout that this package belongs to."""
    source = Path(__file__).resolve().parents[2]
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    return Settings(
        source=source,
        cache=cache_folder(environment),
        output=source / "build" / "image",
        engine=source / "build" / "engine",
        console=source / "build" / "frozen" / "fieldtap",
        version=project["version"],
        source_date_epoch=_source_date_epoch(source, environment),
        mirror=environment.get("MIRROR") or None,
    )


def cache_folder(environment: Mapping[str, str]) -> Path:
    """$FIELDTAP_CACHE, else fieldtap/ in $XDG_CACHE_HOME, else ~/.cache/fieldtap."""
    if given := environment.get("FIELDTAP_CACHE"):
        return Path(given).absolute()
    if base := environment.get("XDG_CACHE_HOME"):
        return Path(base).absolute() / "fieldtap"
    return Path.home() / ".cache" / "fieldtap"


def _source_date_epoch(source: Path, environment: Mapping[str, str]) -> int:
    given = environment.get("SOURCE_DATE_EPOCH", "")
    if not given:
        # safe.directory, because root often builds in a checkout that belongs to somebody else.
        argv = [
            "git",
            "-c",
            f"safe.directory={source}",
            "-C",
            os.fspath(source),
            "log",
            "-1",
            "--format=%ct",
        ]
        try:
            given = subprocess.run(
                [*argv, "--", *INGREDIENTS], capture_output=True, text=True, check=False
            ).stdout.strip()
        except FileNotFoundError:
            given = ""
    if not given.isdecimal():
        raise ImageError(
            "no time stamp for the image: no git checkout, and SOURCE_DATE_EPOCH is no number",
            hint="set SOURCE_DATE_EPOCH to seconds since 1970",
        )
    return int(given)
