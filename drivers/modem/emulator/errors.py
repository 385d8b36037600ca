"""How the emulated modem refuses: codes and their verbose texts.

Sources: 3GPP TS 27.007 §9.2 (+CME ERROR), TS 27.005 §3.2.5 (+CMS ERROR), TS 24.011 annex E (causes below 128).
"""

CME_TEXTS = {
    3: "operation not allowed",
    4: "operation not supported",
    5: "PH-SIM PIN required",
    10: "SIM not inserted",
    11: "SIM PIN required",
    12: "SIM PUK required",
    13: "SIM failure",
    14: "SIM busy",
    15: "SIM wrong",
    16: "incorrect password",
    17: "SIM PIN2 required",
    20: "memory full",
    21: "invalid index",
    22: "not found",
    23: "memory failure",
    30: "no network service",
    31: "network timeout",
    32: "network not allowed - emergency calls only",
    50: "incorrect parameters",
    100: "unknown",
}
CMS_TEXTS = {
    1: "Unassigned (unallocated) number",
    8: "Operator determined barring",
    10: "Call barred",
    21: "Short message transfer rejected",
    27: "Destination out of order",
    28: "Unidentified subscriber",
    29: "Facility rejected",
    30: "Unknown subscriber",
    38: "Network out of order",
    41: "Temporary failure",
    42: "Congestion",
    47: "Resources unavailable, unspecified",
    50: "Requested facility not subscribed",
    69: "Requested facility not implemented",
    96: "Invalid mandatory information",
    111: "Protocol error, unspecified",
    127: "Interworking, unspecified",
    192: "SC busy",
    193: "No SC subscription",
    194: "SC system failure",
    195: "Invalid SME address",
    196: "Destination SME barred",
    197: "SM Rejected-Duplicate SM",
    198: "TP-VPF not supported",
    199: "TP-VP not supported",
    208: "SIM SMS storage full",
    255: "Unspecified error cause",
    300: "ME failure",
    301: "SMS service of ME reserved",
    302: "Operation not allowed",
    303: "Operation not supported",
    304: "Invalid PDU mode parameter",
    305: "Invalid text mode parameter",
    310: "SIM not inserted",
    311: "SIM PIN required",
    312: "PH-SIM PIN required",
    313: "SIM failure",
    314: "SIM busy",
    315: "SIM wrong",
    316: "SIM PUK required",
    320: "Memory failure",
    321: "Invalid memory index",
    322: "Memory full",
    330: "SMSC address unknown",
    331: "No network service",
    332: "Network timeout",
    340: "No +CNMA acknowledgement expected",
    500: "Unknown error",
}


class Refusal(Exception):
    """A command ends with a bare ERROR."""

    def text(self, error_mode: int) -> str:
        """The final result code under +CMEE=`error_mode`."""
        del error_mode
        return "ERROR"


class EquipmentRefusal(Refusal):
    """A command ends with +CME ERROR, which +CMEE=0 makes a bare ERROR."""

    def __init__(self, code: int) -> None:
        super().__init__(f"+CME ERROR: {code}")
        self.code = code

    def text(self, error_mode: int) -> str:
        """The final result code under +CMEE=`error_mode`."""
        if error_mode == 0:
            return "ERROR"
        return f"+CME ERROR: {CME_TEXTS.get(self.code, 'unknown') if error_mode == 2 else self.code}"


class MessageRefusal(Refusal):
    """A command of the message service ends with +CMS ERROR: always coded, as TS 27.005 knows no switch for it."""

    def __init__(self, code: int) -> None:
        super().__init__(f"+CMS ERROR: {code}")
        self.code = code

    def text(self, error_mode: int) -> str:
        """The final result code under +CMEE=`error_mode`."""
        return f"+CMS ERROR: {CMS_TEXTS.get(self.code, 'Unknown error') if error_mode == 2 else self.code}"
