"""What can go wrong between a client and an engine. Each message is one sentence for a person."""


class EngineError(Exception):
    """The engine could not be reached, understood, started or stopped."""


class EngineGoneError(EngineError):
    """Nobody listens at the socket any more: the engine ended, or was killed."""


class EngineSilentError(EngineError):
    """The engine holds its socket open but did not answer in time."""


class ProtocolError(EngineError):
    """The other side does not speak the control protocol."""


class RefusedError(EngineError):
    """The engine understood the request and said no.

    `is_usage` where the request itself is wrong, as a rate that is none.
    """

    def __init__(self, message: str, *, is_usage: bool = False) -> None:
        super().__init__(message)
        self.is_usage = is_usage


class MalformedError(EngineError):
    """A file that the engine writes does not read as one: it was damaged or changed."""


class StartError(EngineError):
    """An engine program was started and ended, or did not get ready.

    `exit_code` is the program's own (see the command contract), 1 where there is none.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
