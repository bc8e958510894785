"""What ends a command early, and the exit codes of the command contract."""

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
