"""Commands about adapters: `firmware`, `license`, and `check --explain`."""

import signal
from collections.abc import Sequence

import click
import msgspec
from fieldtap_hardware.verdicts import Check, worst

from fieldtap import cli_updates
from fieldtap.failures import CHECK_FAILED, DONE

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


def clear_away_when_ended() -> None:
    """Let SIGTERM, and SIGHUP of a dropped SSH session, interrupt: what was made is removed."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def show_recording(tool: str, file: str, *, as_json: bool) -> int:
    """Print what FILE, an output of TOOL, says."""
    from fieldtap import hardware

    explanation = hardware.explain_recording(tool, file)
    if as_json:
        _print_json(explanation)
    else:
        from fieldtap import tables

        tables.print_explanation(explanation)
    return DONE


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def firmware(context: click.Context, *, as_json: bool) -> int:
    """Show the firmware of each adapter: what runs, and what is stored.

    Asks devlink, the vendor's tool where it is installed, fwupd, and else the driver.

    \b
    fieldtap firmware
    fieldtap firmware --json
    fieldtap firmware update --help
    """
    if context.invoked_subcommand is not None:
        return DONE
    from fieldtap import hardware

    found = hardware.firmware()
    checks = [check for _, check in found]
    if as_json:
        _print_judged("firmware", [(msgspec.to_builtins(value), check) for value, check in found])
    else:
        from fieldtap import tables

        tables.print_firmware(found)
    return _exit_code(checks)


@click.group("license", invoke_without_command=True)
@json_option
@click.pass_context
def license_(context: click.Context, *, as_json: bool) -> int:
    """Show which features of Solarflare adapters are licensed, and how that is known.

    What follows from the driver's behaviour is marked as inferred.

    \b
    fieldtap license
    fieldtap license --json
    fieldtap license install --help
    """
    if context.invoked_subcommand is not None:
        return DONE
    from fieldtap import hardware

    found = hardware.licenses()
    checks = [check for _, check in found]
    if as_json:
        _print_judged("license", [(msgspec.to_builtins(value), check) for value, check in found])
    else:
        from fieldtap import tables

        tables.print_licenses(found)
    return _exit_code(checks)


firmware.add_command(cli_updates.update)
license_.add_command(cli_updates.install)


def _exit_code(checks: Sequence[Check]) -> int:
    return CHECK_FAILED if any(check.verdict == "fail" for check in checks) else DONE


def _print_judged(name: str, judged: Sequence[tuple[dict[str, object], Check]]) -> None:
    rows = [
        {**value, "verdict": check.verdict, "summary": check.summary, "remedy": check.remedy}
        for value, check in judged
    ]
    verdict = worst(check.verdict for _, check in judged) if judged else "not_applicable"
    _print_json({"schema": f"fieldtap.{name}/1", "verdict": verdict, name: rows})


def _print_json(value: object) -> None:
    encoded = msgspec.json.format(msgspec.json.encode(value), indent=2)
    click.echo(encoded.decode())
