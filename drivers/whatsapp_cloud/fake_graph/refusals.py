"""How Graph says no: its error objects, as Meta's "Cloud API error codes" lists them.

The statuses are those of that list; programs are told there to go by `code` and not by the status.
"""

import secrets
from dataclasses import dataclass, field
from typing import Any

HREF = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/"


@dataclass(slots=True, frozen=True)
class Known:
    """One line of the list."""

    status: int
    title: str


CODES = {
    0: Known(401, "AuthException"),
    1: Known(400, "API Unknown"),
    2: Known(503, "API Service"),
    3: Known(500, "API Method"),
    4: Known(429, "API Too Many Calls"),
    10: Known(403, "Permission Denied"),
    33: Known(400, "Parameter value is not valid"),
    100: Known(400, "Invalid parameter"),
    190: Known(401, "Access token has expired"),
    200: Known(403, "API Permission"),
    368: Known(403, "Temporarily blocked for policies violations"),
    80007: Known(429, "Rate limit issues"),
    130429: Known(429, "Rate limit hit"),
    130472: Known(400, "User's number is part of an experiment"),
    130497: Known(403, "Business account is restricted from messaging users in this country"),
    131000: Known(500, "Something went wrong"),
    131005: Known(403, "Access denied"),
    131008: Known(400, "Required parameter is missing"),
    131009: Known(400, "Parameter value is not valid"),
    131016: Known(503, "Service unavailable"),
    131021: Known(400, "Recipient cannot be sender"),
    131026: Known(400, "Message undeliverable"),
    131031: Known(403, "Account has been locked"),
    131042: Known(400, "Business eligibility payment issue"),
    131045: Known(500, "Incorrect certificate"),
    131047: Known(400, "Re-engagement message"),
    131048: Known(429, "Spam rate limit hit"),
    131049: Known(400, "Meta chose not to deliver"),
    131051: Known(400, "Unsupported message type"),
    131052: Known(400, "Media download error"),
    131053: Known(400, "Media upload error"),
    131056: Known(429, "(Business Account, Consumer Account) pair rate limit hit"),
    131057: Known(500, "Account in maintenance mode"),
    132000: Known(400, "Template Param Count Mismatch"),
    132001: Known(404, "Template does not exist"),
    132005: Known(400, "Template Hydrated Text Too Long"),
    132007: Known(400, "Template Format Character Policy Violated"),
    132012: Known(400, "Template Parameter Format Mismatch"),
    132015: Known(400, "Template is Paused"),
    132016: Known(400, "Template is Disabled"),
    133010: Known(400, "Phone number Not Registered"),
}
_UNLISTED = Known(400, "Unlisted error")


@dataclass(slots=True, frozen=True)
class Trouble:
    """An error as answers and statuses tell it."""

    code: int
    details: str = ""
    status: int = 0
    """Of the HTTP answer; 0: the one that the list has for the code."""
    subcode: int | None = None
    trace: str = field(default_factory=lambda: "A" + secrets.token_urlsafe(16))

    @property
    def title(self) -> str:
        """The list's words for the code."""
        return CODES.get(self.code, _UNLISTED).title

    @property
    def http_status(self) -> int:
        """Of the answer."""
        return self.status or CODES.get(self.code, _UNLISTED).status

    def answer(self) -> dict[str, Any]:
        """The body of an answer."""
        error: dict[str, Any] = {
            "message": f"(#{self.code}) {self.title}",
            "type": "OAuthException",
            "code": self.code,
        }
        if self.details:
            error["error_data"] = {"messaging_product": "whatsapp", "details": self.details}
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        return {"error": {**error, "fbtrace_id": self.trace}}

    def in_status(self) -> dict[str, Any]:
        """One of the `errors` of a status in a webhook."""
        said: dict[str, Any] = {"code": self.code, "title": self.title, "message": self.title}
        if self.details:
            said["error_data"] = {"details": self.details}
        return {**said, "href": HREF}


class Refused(Exception):
    """Graph does not take it."""

    def __init__(self, code: int, details: str = "", *, status: int = 0, subcode: int | None = None) -> None:
        super().__init__(details)
        self.trouble = Trouble(code, details, status, subcode)
