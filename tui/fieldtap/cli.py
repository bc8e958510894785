"""The commands: each parses, calls the command layer and prints.

Data goes to stdout, words to stderr.
"""

import os
import sys
from pathlib import Path

import click
import msgspec
from fieldtap_core.messages import CaptureStatus
from fieldtap_core.reports import CaptureReport

from fieldtap import captures, cli_check, cli_clock, cli_hardware, lab, machine, sessions, words
from fieldtap.failures import CHECK_FAILED, DONE
from fieldtap.linktest.commands import linktest

PASS_ON = {"ignore_unknown_options": True, "help_option_names": ["--help"]}
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
options_argument = click.argument("options", nargs=-1, type=click.UNPROCESSED)


def _print_json(value: object) -> None:
    encoded = msgspec.json.format(msgspec.json.encode(value), indent=2)
    click.echo(encoded.decode())


def _say(text: str) -> None:
    click.echo(f"fieldtap: {text}", err=True)


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["--help"]})
@click.version_option(package_name="fieldtap")
@click.pass_context
def commands(context: click.Context) -> int | None:
    """Capture every frame, and prove it.

    Without a command, opens the console on a terminal.

    \b
    fieldtap check
    fieldtap capture start tap -i eth2 -w tap.pcapng
    fieldtap capture stop tap
    """
    if context.invoked_subcommand is not None:
        return None
    if not sys.stdout.isatty():
        click.echo(context.get_help())
        return DONE
    if os.environ.get("TERM") == "linux":
        os.environ.setdefault("TEXTUAL_DISABLE_KITTY_KEY", "1")  # read by Textual at import
    from fieldtap.app import run_console  # Textual takes a quarter of a second to import

    return run_console()


@commands.command()
@json_option
def ports(as_json: bool) -> None:
    """Show the ports of this machine.

    \b
    fieldtap ports
    fieldtap ports --json
    """
    found = machine.ports()
    if as_json:
        _print_json({"schema": "fieldtap.ports/1", "ports": found})
        return
    from fieldtap import tables

    tables.print_ports(found)


@commands.group("lab")
def lab_group() -> None:
    """The lab link: two joined virtual ports, ftlab0 and ftlab1.

    \b
    fieldtap lab up
    fieldtap lab down
    """


@lab_group.command("up")
def lab_up() -> None:
    """Make the lab link; needs root."""
    made = lab.up()
    _say(f"{' and '.join(lab.PORTS)} are {'up' if made else 'up already'}")


@lab_group.command("down")
def lab_down() -> None:
    """Remove the lab link; needs root."""
    removed = lab.down()
    _say("the lab link is removed" if removed else "there is no lab link")


@commands.group()
def capture() -> None:
    """Captures that outlive this terminal.

    \b
    fieldtap capture start tap -i eth2 -w tap.pcapng
    fieldtap capture list
    fieldtap capture stop tap
    """


@capture.command("start", context_settings=PASS_ON)
@click.argument("name")
@options_argument
def capture_start(name: str, options: tuple[str, ...]) -> int:
    """Start a capture called NAME; OPTIONS are those of ft-capture.

    Returns once every port receives.

    \b
    fieldtap capture start tap -i eth2 -i eth3 -w tap.pcapng
    fieldtap capture start dns -i eth2 -w dns.pcapng -f 'udp port 53' -a duration:60
    fieldtap capture start ring -i eth2 -w ring.pcapng -b interval:3600 -b total:500GB
    fieldtap capture start monday -i eth2 -w sessions/monday/
    """
    started = captures.start_capture(name, options)
    if started.status is None:
        _say(f"{name} has run already; its report is {started.report}")
        return started.exit_code or DONE
    where = words.target(started.status)
    _say(f"{name} captures to {where} (process {started.pid}, log {started.log})")
    return DONE


@capture.command("stop")
@click.argument("name")
@json_option
def capture_stop(name: str, as_json: bool) -> None:
    """Stop NAME, wait until its file is complete, and show its ledger.

    \b
    fieldtap capture stop tap
    """
    stopped = captures.stop(name)
    if as_json:
        _print_json(stopped.report or stopped.last)
        return
    _say(f"{name} has stopped")
    shown: CaptureReport | None = stopped.report
    if shown is None:
        click.echo(f"{words.count(words.frames(stopped.last))} frames at its last word; no report")
        return
    for port in shown.ports:
        click.echo(words.ledger_line(port))
    for line in words.file_lines(shown.files):
        click.echo(line)
    click.echo(f"lost {words.count(shown.lost)}; the ledger {words.balance(shown.balanced)}")


@capture.command("rotate")
@click.argument("name")
def capture_rotate(name: str) -> None:
    """Let NAME, a capture with -b, go on in a new file.

    \b
    fieldtap capture rotate tap
    """
    captures.rotate(name)
    _say(f"{name} goes on in a new file")


@capture.command("keep")
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
def capture_keep(files: tuple[Path, ...]) -> None:
    """Mark complete captures, so that no ring expires them.

    The mark is FILE.keep; remove it to let the file go.

    \b
    fieldtap capture keep ring_00007_20261124101112.pcapng
    """
    captures.keep(files)
    _say(f"kept: {', '.join(map(str, files))}")


@capture.command("list")
@json_option
def capture_list(as_json: bool) -> None:
    """List every running engine, whoever started it.

    \b
    fieldtap capture list
    """
    survey = captures.look()
    for problem in survey.problems:
        _say(f"{problem.path}: {problem.text}")
    if as_json:
        engines = [engine.status for engine in survey.engines]
        searched = [str(path) for path in survey.searched]
        problems = [{"path": str(entry.path), "text": entry.text} for entry in survey.problems]
        _print_json(
            {
                "schema": "fieldtap.engines/1",
                "searched": searched,
                "engines": engines,
                "problems": problems,
            }
        )
        return
    if not survey.engines:
        where = ", ".join(map(str, survey.searched)) or "no run directory exists"
        _say(f"no engine runs (searched: {where})")
        return
    from fieldtap import tables

    tables.print_engines(survey.engines)


@capture.command("show")
@click.argument("name")
@json_option
def capture_show(name: str, as_json: bool) -> None:
    """Show what NAME says of itself now.

    \b
    fieldtap capture show tap --json
    """
    status = captures.find(name).status
    if as_json:
        _print_json(status)
        return
    duration = words.seconds(status.now_ns - status.started_ns)
    click.echo(f"{status.name}: {status.state} for {duration}, to {words.target(status)}")
    if isinstance(status, CaptureStatus):
        for port in status.ports:
            click.echo(words.ledger_line(port))
    for alarm in status.alarms:
        click.echo(f"ALARM {alarm.text}")


@commands.command(context_settings=PASS_ON, add_help_option=False)
@options_argument
def generate(options: tuple[str, ...]) -> int:
    """Send frames and count what comes back: ft-generate, in the foreground.

    \b
    fieldtap generate -o eth2 -r eth3 --size 64 --count 1000000
    fieldtap generate --help
    """
    return captures.become("ft-generate", options)


@commands.command()
@click.argument("name")
@click.argument("change", metavar="RATE|SPEEDx|pause|resume")
def rate(name: str, change: str) -> None:
    """Let the generator NAME go on at another rate.

    \b
    fieldtap rate burst 500Mbps
    fieldtap rate site 2x
    fieldtap rate site pause
    """
    pace = captures.change_rate(name, change)
    at = "" if change == "resume" else f" at {change}"
    _say(f"{name} is paused" if pace.paused else f"{name} goes on{at}")


@commands.command(context_settings=PASS_ON, add_help_option=False)
@options_argument
def reflect(options: tuple[str, ...]) -> int:
    """Send test frames back from the far end of a link: ft-reflect, in the foreground.

    \b
    fieldtap reflect -i eth2 --duration 600
    fieldtap reflect --help
    """
    return captures.become("ft-reflect", options)


@commands.command(context_settings=PASS_ON, add_help_option=False)
@options_argument
def extract(options: tuple[str, ...]) -> int:
    """Take frames out of captures by time, filter or flow: ft-extract.

    \b
    fieldtap extract tap.pcapng -w dns.pcapng -f 'udp port 53'
    fieldtap extract --help
    """
    return captures.become("ft-extract", options)


@commands.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@json_option
def verify(directory: Path, as_json: bool) -> int:
    """Judge the sessions in DIR: is all that was recorded there, unchanged, and signed?

    Reads every file. Exits with 3 when a check fails; a receipt that is not signed, or by a key
    that is not known here, is never ok.

    \b
    fieldtap verify captures/uplink
    fieldtap verify /media/disk/uplink --json
    """
    report = sessions.verify(directory, _say if sys.stderr.isatty() else lambda _: None)
    if as_json:
        _print_json(report)
    else:
        from fieldtap import tables

        tables.print_checks(sessions.in_short(report))
    return CHECK_FAILED if report.verdict == "fail" else DONE


commands.add_command(cli_check.check)
commands.add_command(linktest)
commands.add_command(cli_hardware.firmware)
commands.add_command(cli_hardware.license_)
commands.add_command(cli_clock.clock)
