"""Which Debian packages go where: lists beside the code, and what the roles say they need."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from fieldtap_image.commands import run


def named_in(path: Path) -> list[str]:
    """The names in a list file: one a line, # begins a comment."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]


def of_roles(roles: Path) -> list[str]:
    """What each role NAME lists in its default NAME_packages."""
    names: set[str] = set()
    for defaults in sorted(roles.glob("*/defaults/main.yml")):
        role = defaults.parents[1].name
        names.update((yaml.safe_load(defaults.read_text()) or {}).get(f"{role}_packages", []))
    return sorted(names)


def manifest(tree: Path) -> str:
    """JSON text: name, version and architecture of each package installed in `tree`, by name."""
    listing = run(
        [
            "dpkg-query",
            "--admindir",
            tree / "var/lib/dpkg",
            "--show",
            "--showformat=${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\n",
        ],
        timeout_s=60,
    )
    rows = [line.split("\t") for line in listing.splitlines()]
    packages = [
        {"name": name, "version": version, "architecture": architecture}
        for status, name, version, architecture in rows
        if status == "installed"
    ]
    packages.sort(key=lambda package: (package["name"], package["architecture"]))
    return json.dumps({"schema": "fieldtap.packages/1", "packages": packages}, indent=1) + "\n"
