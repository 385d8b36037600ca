"""The contract suite is a library, so pytest has to be told to explain its assertions too."""

import pytest

pytest.register_assert_rewrite("drivers.runtime.contract_kit.suite", "drivers.runtime.contract_kit.subject")
