"""The command `check`: judge this machine, or another one by its bundle."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from fieldtap_hardware.bypass import Duty
from fieldtap_hardware.checks import judge

from fieldtap import check_page, cli_hardware, disk_trial, machine
from fieldtap.failures import BAD_USAGE, CHECK_FAILED, DONE, CommandError

SIZE = re.compile(r"([0-9]{1,15}) *(|[kMGT]i?)B?")
FACTORS = {"": 0, "k": 1, "M": 2, "G": 3, "T": 4}
DEFAULT_SIZE = f"{disk_trial.DEFAULT_BYTES // 10**9}GB"

file_type = click.Path(path_type=Path)


@click.command()
@click.argument("names", metavar="[PORT]...", nargs=-1)
@click.option(
    "--dir",
    "directory",
    type=file_type,
    help="Where captures go (the appliance's folder, else this one).",
)
@click.option(
    "--measure",
    "measures",
    is_flag=True,
    help="First write to the disk, and flood any cable between the PORTs that are named.",
)
@click.option(
    "--write",
    "write_size",
    metavar="SIZE",
    help=f"How much --measure writes at most ({DEFAULT_SIZE}); more than the drive's fast cache "
    "finds its cliff.",
)
@click.option(
    "--dead",
    "duty",
    type=click.Choice([duty.value for duty in Duty]),
    default=Duty.BLOCK.value,
    show_default=True,
    help="What a link with a bypass relay must do when this machine is dead.",
)
@click.option("--html", "page", type=file_type, metavar="FILE", help="Write one page to hand on.")
@click.option(
    "--bundle",
    type=file_type,
    metavar="FILE.tar.gz",
    help="Write what was read, without secrets, to be judged elsewhere.",
)
@click.option(
    "--from",
    "source",
    type=file_type,
    metavar="BUNDLE",
    help="Judge the machine of a bundle instead of this one.",
)
@click.option(
    "--explain",
    "recording",
    nargs=2,
    metavar="TOOL FILE",
    help="Read a recorded output of TOOL (sfupdate, ethtool-i, pmc, ...) instead; FILE - is stdin.",
)
@click.option(
    "--catalogue",
    "catalogue_files",
    type=file_type,
    metavar="FILE",
    multiple=True,
    help="Say whether FILE, a catalogue of your own adapters, can be used; repeatable.",
)
@cli_hardware.json_option
def check(
    names: tuple[str, ...],
    directory: Path | None,
    *,
    measures: bool,
    write_size: str | None,
    duty: str,
    page: Path | None,
    bundle: Path | None,
    source: Path | None,
    recording: tuple[str, str] | None,
    catalogue_files: tuple[Path, ...],
    as_json: bool,
) -> int:
    """Judge ports, disk, processor and engine: can this machine do the job?

    Without PORT, every port but virtual ones that are down. Exits with 3 when a check fails.

    \b
    fieldtap check eth2 eth3
    fieldtap check --dir /media/disk --json
    fieldtap check eth2 eth3 --measure
    fieldtap check --html check.html --bundle laptop7.tar.gz
    fieldtap check --from laptop7.tar.gz
    fieldtap check --explain ethtool-i eth2.txt --json
    fieldtap check --catalogue /etc/fieldtap/catalogue.d/ours.toml
    """
    others = {"--explain": recording, "--catalogue": catalogue_files, "--from": source}
    of_this_machine = bool(names or directory or measures or bundle)
    _refuse_mixed([option for option, given in others.items() if given], of_this_machine)
    if recording is not None:
        if page is not None:
            raise CommandError("--html shows checks, and --explain makes none", BAD_USAGE)
        return cli_hardware.show_recording(*recording, as_json=as_json)
    if write_size is not None and not measures:
        raise CommandError("--write says how much --measure writes: give that, too", BAD_USAGE)
    about = "this machine"
    if catalogue_files:
        report = machine.check_catalogue(catalogue_files)
    elif source is not None:
        report = machine.judge_bundle(source, Duty(duty))
        about = source.name
    else:
        cli_hardware.clear_away_when_ended()
        measure = (
            machine.Measure(parse_size(write_size or DEFAULT_SIZE), _say) if measures else None
        )
        readings = machine.take(names, directory, measure=measure)
        report = judge(readings, Duty(duty))
        if bundle is not None:
            machine.save_bundle(bundle, readings, Duty(duty))
            _say(f"{bundle} holds what was read, without secrets")
    if page is not None:
        machine.write_file(page, check_page.render(report, about).encode())
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        from fieldtap import tables

        tables.print_checks(report)
    return CHECK_FAILED if report.verdict == "fail" else DONE


def _refuse_mixed(others: Sequence[str], of_this_machine: bool) -> None:
    """What reads something else than this machine stands alone, so that nothing is passed over."""
    if len(others) > 1:
        raise CommandError(f"give only one of {', '.join(others)}", BAD_USAGE)
    if others and of_this_machine:
        text = "does not read this machine: leave out PORT, --dir, --measure and --bundle"
        raise CommandError(f"{others[0]} {text}", BAD_USAGE)


def parse_size(text: str) -> int:
    """Bytes from "8GB" or "512 MiB": k, M, G are powers of 1000, Ki, Mi, Gi of 1024."""
    match = SIZE.fullmatch(text)
    if match is None or not int(match[1]):
        raise CommandError(f"--write: {text!r} is not a size such as 8GB or 512MiB", BAD_USAGE)
    base = 1024 if match[2].endswith("i") else 1000
    return int(match[1]) * int(base ** FACTORS[match[2].removesuffix("i")])


def _say(text: str) -> None:
    click.echo(f"fieldtap: {text}", err=True)
    sys.stderr.flush()
