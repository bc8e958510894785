"""`python -m fieldtap_image build|test|flash`: options, and errors in a sentence."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fieldtap_image import settings as settings_module
from fieldtap_image.errors import ImageError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code: 0 done, 1 failed, 2 bad option."""
    options = _parser().parse_args(arguments)
    try:
        settings = settings_module.from_environment()
        if options.command == "build":
            from fieldtap_image.pipeline import build

            build(settings)
        elif options.command == "test":
            from fieldtap_image.boot_test import boot_test

            boot_test(settings, again=options.again)
        else:
            from fieldtap_image.flash import flash

            flash(settings.image, options.device)
    except ImageError as error:
        print(f"image: error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        print("image: interrupted", file=sys.stderr)  # noqa: T201
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fieldtap_image",
        description="The bootable image.",
        epilog="Environment: FIELDTAP_CACHE, MIRROR (of Debian), SOURCE_DATE_EPOCH.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build the image into build/image/")
    test = commands.add_parser(
        "test", help="boot it in QEMU and capture a real capture's frames in it"
    )
    test.add_argument(
        "--again", action="store_true", help="even if this very image has passed this very test"
    )
    flash = commands.add_parser("flash", help="write it to a stick, and read it back")
    flash.add_argument("device", type=Path, help="the whole disk, such as /dev/sdX")
    return parser


if __name__ == "__main__":
    sys.exit(main())
