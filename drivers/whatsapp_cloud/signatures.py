"""Which app's secret a webhook is signed with, at a price that a stranger cannot drive up.

Meta signs with the secret of one app and names in the body the numbers that it is about, so only their secrets are
tried, or all where it names none. What may be hashed for one request is limited, and much of it is hashed beside the
event loop, one request at a time.
"""

import asyncio
import re
from collections.abc import Mapping
from itertools import islice

from drivers.runtime.hooks import HookRequest, is_signed
from drivers.whatsapp_cloud.number import Number

PREFIX = "sha256="
NAMED_MAX = 1000
"""Numbers that are looked for in a body, from its beginning."""
HASHED_BYTES_MAX = 16 * 1024 * 1024
"""For one request; one that would cost more is taken for unsigned."""
INLINE_BYTES_MAX = 64 * 1024
"""More is hashed beside the event loop."""
_NAMED = re.compile(rb'"phone_number_id"\s*:\s*"([0-9]{1,32})"')


class Signatures:
    """Finds who signed."""

    def __init__(self, numbers: Mapping[str, Number]) -> None:
        """`numbers` by their phone number id."""
        self._numbers = numbers
        self._one_at_a_time = asyncio.Lock()

    async def signers(self, request: HookRequest) -> set[str]:
        """The secrets that the body is signed with."""
        told = request.headers.get("X-Hub-Signature-256", "")
        if not told.startswith(PREFIX):
            return set()
        body, signature = request.body, told.removeprefix(PREFIX)
        secrets = self._candidates(body)
        hashed = len(secrets) * len(body)
        if hashed > HASHED_BYTES_MAX:
            return set()
        if hashed <= INLINE_BYTES_MAX:
            return _signers(body, secrets, signature)
        async with self._one_at_a_time:
            return await asyncio.to_thread(_signers, body, secrets, signature)

    def _candidates(self, body: bytes) -> set[str]:
        named = {each[1].decode() for each in islice(_NAMED.finditer(body), NAMED_MAX)}
        ours = [number for phone_number_id in named if (number := self._numbers.get(phone_number_id))]
        return {number.config.app_secret.text for number in ours or self._numbers.values()}


def _signers(body: bytes, secrets: set[str], signature: str) -> set[str]:
    return {secret for secret in secrets if is_signed(body, secret.encode(), signature)}
