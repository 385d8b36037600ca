"""A phone with "SMS Gateway for Android" on it, in Local mode: to try the product without a phone, and to test.

The app's own client takes it for the app. Tests make a `FakeSmsGate`; people start it from the command line
(docs/fake-smsgate.md). It knows nothing of the driver.
"""

from drivers.android.fake_smsgate.fault_table import FAULTS
from drivers.android.fake_smsgate.gate import NUMBER, PASSWORD, SENDER, SIGNING_KEY, USER, FakeSmsGate
from drivers.android.fake_smsgate.radio import Conditions
from drivers.android.fake_smsgate.values import AppKind, OverLimit, Received, SentPart, Sim, State
from drivers.fake_kit.fault_table import Extent, FaultKind
from drivers.fake_kit.faults import FaultInvalid, Faults

__all__ = [
    "FAULTS",
    "NUMBER",
    "PASSWORD",
    "SENDER",
    "SIGNING_KEY",
    "USER",
    "AppKind",
    "Conditions",
    "Extent",
    "FakeSmsGate",
    "FaultInvalid",
    "FaultKind",
    "Faults",
    "OverLimit",
    "Received",
    "SentPart",
    "Sim",
    "State",
]
