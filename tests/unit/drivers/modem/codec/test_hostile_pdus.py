"""Whatever a modem hands in is an answer; `python -m tests.fuzz_pdus` goes on for as long as wanted."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import fuzz_pdus


@pytest.mark.parametrize("seed", range(4))
def test_hostile_pdus_break_no_rule(seed: int) -> None:
    chance = random.Random(seed)
    pdus = [fuzz_pdus.hostile(chance) for _ in range(5_000)]
    assert {pdu: rules for pdu in pdus if (rules := fuzz_pdus.broken_rules(pdu))} == {}


@given(st.text())
def test_any_string_breaks_no_rule(text: str) -> None:
    assert fuzz_pdus.broken_rules(text) == []


@given(st.binary(max_size=200))
def test_any_octets_break_no_rule(octets: bytes) -> None:
    assert fuzz_pdus.broken_rules(octets.hex()) == []
    assert fuzz_pdus.broken_rules(f"0004{octets.hex()}") == []
