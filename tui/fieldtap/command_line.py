"""Runs a command and turns whatever stops it into one line and an exit code."""

import os
import sys

import click
from click.exceptions import NoArgsIsHelpError
from fieldtap_core.errors import EngineError, StartError
from fieldtap_hardware.ports import InventoryError

from fieldtap.cli import commands
from fieldtap.failures import BAD_USAGE, FAILED, INTERRUPTED, CommandError


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; its error, if any, is one line on stderr."""
    try:
        code = commands.main(arguments, prog_name="fieldtap", standalone_mode=False)
        sys.stdout.flush()
    except NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return BAD_USAGE
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "fieldtap"
        return _fail(f"{error.format_message()} See {where} --help.", BAD_USAGE)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except (CommandError, StartError) as error:
        return _fail(str(error), error.exit_code)
    except (EngineError, InventoryError, click.ClickException) as error:
        return _fail(str(error), FAILED)
    except BrokenPipeError:
        _drop_output()  # who read us has gone
        return FAILED
    except OSError as error:
        _drop_output()
        return _fail(f"{error.filename or 'cannot write the output'}: {error.strerror}", FAILED)
    return int(code or 0)


def _drop_output() -> None:
    """Let what is still buffered go nowhere, so that leaving cannot fail as well."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int) -> int:
    line = " ".join(message.split())
    sys.stderr.write(f"fieldtap: {line}\n")
    return code
