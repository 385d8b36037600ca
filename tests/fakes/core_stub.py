"""The core that tests of drivers talk to; it lives in the contract kit, so that other people's drivers have it too."""

from drivers.runtime.contract_kit.stub_core import TOKEN, StubCommand, StubCore

__all__ = ["TOKEN", "StubCommand", "StubCore"]
