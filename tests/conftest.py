"""Fixtures of the end-to-end tests: what the machine lacks is a reason to skip."""

from collections.abc import Generator, Iterator

import pytest
from fieldlab import Lab, LabError, lab


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    return (yield from _skip_for_lack())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    return (yield from _skip_for_lack())


def _skip_for_lack() -> Generator[None, object, object]:
    """Turn what the machine lacks, met by a test or its fixtures, into a skip with the reason."""
    try:
        return (yield)
    except LabError as error:
        pytest.skip(str(error))


@pytest.fixture
def link() -> Iterator[Lab]:
    """A lab link of the test's own."""
    with lab() as made:
        yield made
