"""What ends a command early, and the exit codes of the command contract."""

from collections.abc import Iterator
from contextlib import contextmanager

DONE = 0
FAILED = 1
BAD_USAGE = 2
CHECK_FAILED = 3
INTERRUPTED = 130


class CommandError(Exception):
    """A command cannot be done: one line (what, where, what to do), and an exit code."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@contextmanager
def naming(subject: str) -> Iterator[None]:
    """Put `subject`, such as an option, in front of a `CommandError` about its value."""
    try:
        yield
    except CommandError as error:
        raise CommandError(f"{subject}: {error}", error.exit_code) from None
