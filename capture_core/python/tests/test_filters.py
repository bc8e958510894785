"""Capture filters judged by libpcap."""

import pytest
from fieldtap_core import filters
from fieldtap_core.errors import EngineError
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture(scope="module", autouse=True)
def libpcap() -> None:
    try:
        filters.check_filter("")
    except EngineError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("expression", ["", "tcp port 80", "vlan and host 192.0.2.1"])
def test_a_good_filter_has_no_complaint(expression: str) -> None:
    assert filters.check_filter(expression) is None


def test_a_bad_filter_is_explained_in_libpcaps_words() -> None:
    assert filters.check_filter("tcp port 99999") == "illegal port number 99999 > 65535"


@given(st.text(alphabet="tcpudor() 0123456789.:/[]=&\0\ud800é"))
def test_any_text_is_judged_without_an_exception(expression: str) -> None:
    complaint = filters.check_filter(expression)
    assert complaint is None or complaint
