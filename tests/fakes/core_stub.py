"""The core that tests of drivers talk to; it lives in the contract kit, so that other people's drivers have it too."""

from drivers.runtime.contract_kit.core_model import OPEN, CoreModel, ModelCommand, ModelSession
from drivers.runtime.contract_kit.stub_core import TOKEN, StubCore

__all__ = ["OPEN", "TOKEN", "CoreModel", "ModelCommand", "ModelSession", "StubCore"]
