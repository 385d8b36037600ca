"""Assertions in what the tests share are to be explained."""

import pytest

pytest.register_assert_rewrite(
    "tests.integration.modem.faults.bench", "tests.integration.modem.recovery.troubles"
)
