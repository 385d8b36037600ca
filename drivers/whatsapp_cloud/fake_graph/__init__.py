"""A fake of Meta's Graph for WhatsApp: to try the product without an account, and to test drivers.

Another program takes it for the real one. Tests make a `FakeGraph`; people start it from the command line
(docs/fake-graph.md). It knows nothing of the driver.
"""

from drivers.fake_kit.fault_table import FaultKind
from drivers.fake_kit.faults import FaultInvalid
from drivers.whatsapp_cloud.fake_graph.acceptance import Rules, Taken
from drivers.whatsapp_cloud.fake_graph.checking import Template
from drivers.whatsapp_cloud.fake_graph.fault_table import FAULTS, Occasion
from drivers.whatsapp_cloud.fake_graph.faults import Faults
from drivers.whatsapp_cloud.fake_graph.graph import APP_SECRET, NUMBER, VERIFY_TOKEN, Credentials, FakeGraph
from drivers.whatsapp_cloud.fake_graph.notices import Inbound, Number, Recipient

__all__ = [
    "APP_SECRET",
    "FAULTS",
    "NUMBER",
    "VERIFY_TOKEN",
    "Credentials",
    "FakeGraph",
    "FaultInvalid",
    "FaultKind",
    "Faults",
    "Inbound",
    "Number",
    "Occasion",
    "Recipient",
    "Rules",
    "Taken",
    "Template",
]
