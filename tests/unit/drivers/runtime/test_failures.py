"""An exception in the log tells where it came from and none of its words."""

import pytest

from drivers.runtime.failures import describe


def raise_with_a_number() -> None:
    raise ValueError("cannot send to +15551234567")


def test_exception_is_described_by_type_and_place_only() -> None:
    with pytest.raises(ValueError, match="cannot send") as caught:
        raise_with_a_number()
    described = describe(caught.value)
    assert described["error"] == "ValueError"
    assert "raise_with_a_number" in described["where"]
    assert "555" not in str(described)
