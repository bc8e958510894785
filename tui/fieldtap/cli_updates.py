"""Commands that change an adapter: `firmware update` and `license install`."""

import sys
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from fieldtap.failures import BAD_USAGE, DONE, CommandError

PATH = click.Path(path_type=Path)
write_option = click.option("--write", is_flag=True, help="Do it; without, only show the plan.")
confirm_option = click.option(
    "--confirm", metavar="WORD", help="The word that the plan shows, instead of typing it."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


@click.command("update")
@click.argument("port")
@click.option("--image", type=PATH, metavar="FILE", help="The image; firmware.toml beside it.")
@click.option("--sha256", metavar="HEX", help="What the image's SHA-256 must be.")
@write_option
@confirm_option
@click.option("--resume", is_flag=True, help="Complete an interrupted update, or roll it back.")
@click.option(
    "--not-newer", metavar="VERSION", help="Write VERSION though it is older, or the same."
)
@click.option(
    "--accept", multiple=True, metavar="CHECK", help="Go on though CHECK is unknown (power, ...)."
)
@click.option("--journal", type=PATH, metavar="DIR", help="Where the journal is kept.")
@json_option
def update(
    port: str,
    image: Path | None,
    sha256: str | None,
    confirm: str | None,
    not_newer: str | None,
    accept: tuple[str, ...],
    journal: Path | None,
    *,
    write: bool,
    resume: bool,
    as_json: bool,
) -> int:
    """Write firmware to the adapter of PORT, by way of a journal.

    Shows the plan and its checks; writes only with --write, once it was confirmed. What a crash
    interrupted is taken up by --resume. Exits with 3 when a check refuses.

    \b
    fieldtap firmware update eth2 --image firmware/sfn8522.dat
    fieldtap firmware update eth2 --image firmware/sfn8522.dat --write
    fieldtap firmware update eth2 --resume --write
    """
    from fieldtap import updates

    if resume == (image is not None):
        raise CommandError("give either --image FILE or --resume", BAD_USAGE)
    ask = _confirmation(confirm)
    if image is None:
        report = updates.resume_firmware(port, write=write, confirm=ask, journal=journal)
    else:
        report = updates.update_firmware(
            port,
            image,
            sha256=sha256,
            not_newer=not_newer,
            accepted=accept,
            write=write,
            confirm=ask,
            journal=journal,
        )
    if as_json:
        _print_json(report)
    else:
        from fieldtap import tables_updates

        tables_updates.print_update(report)
    if resume and not write:
        return DONE
    return updates.EXIT_CODES[report.outcome]


@click.command("install")
@click.argument("port")
@click.argument("file", type=PATH)
@write_option
@confirm_option
@json_option
def install(port: str, file: Path, confirm: str | None, *, write: bool, as_json: bool) -> int:
    """Install the keys in FILE on the adapter of PORT, and compare before with after.

    Shows the plan; installs only with --write, once it was confirmed. Keys are never shown.

    \b
    fieldtap license install eth2 keys.txt
    fieldtap license install eth2 keys.txt --write
    """
    from fieldtap import updates

    report = updates.install_license(port, file, write=write, confirm=_confirmation(confirm))
    if as_json:
        _print_json(report)
    else:
        from fieldtap import tables_updates

        tables_updates.print_install(report)
    return updates.INSTALL_EXIT_CODES.get(report.outcome, DONE)


def _confirmation(given: str | None) -> Callable[[str], str]:
    """Ask on the terminal, unless the word was given."""

    def ask(word: str) -> str:
        if given is not None:
            return given
        if not sys.stdin.isatty():
            return ""
        return str(click.prompt(f"This writes to the adapter. Type {word} to go on", err=True))

    return ask


def _print_json(value: object) -> None:
    encoded = msgspec.json.format(msgspec.json.encode(value), indent=2)
    click.echo(encoded.decode())
