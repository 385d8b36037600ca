"""What each message carries to Meta, and its statuses bring back: which command it was, sealed.

The seal is an HMAC-SHA256 (RFC 2104) over command and phone number id, by a key that never leaves the driver's
journal. So a status is believed for the number that sent the message alone: whoever may sign webhooks of another number
cannot name its commands. Meta calls it `biz_opaque_callback_data` and brings back up to 512 characters.
"""

import hashlib
import hmac
import secrets

from drivers.runtime import Context

KEY = "callback_key"
"""In the driver's store."""
KEY_BYTES = 32
SEAL_DIGITS = 32
"""Hexadecimal, so 128 bits."""
CHARACTERS_MAX = 512


class CallbackData:
    """Writes and reads it. `load` first."""

    def __init__(self, key: bytes = b"") -> None:
        self._key = key

    async def load(self, context: Context) -> None:
        """Take the key that the store has, or a new one, which is on disk when this returns."""
        stored = await context.store.read(KEY)
        if KEY not in stored:
            stored = {KEY: secrets.token_bytes(KEY_BYTES)}
            await context.store.write(stored)
        self._key = stored[KEY]

    def write(self, command_id: str, phone_number_id: str) -> str:
        """What a message of this number carries."""
        said = f"{command_id}:{phone_number_id}"
        return f"{said}:{hmac.new(self._key, said.encode(), hashlib.sha256).hexdigest()[:SEAL_DIGITS]}"

    def read(self, text: str, phone_number_id: str) -> str:
        """The command that a status of this number names; empty if the driver never wrote this for this number."""
        command_id = text.partition(":")[0]
        expected = self.write(command_id, phone_number_id)
        return command_id if hmac.compare_digest(expected.encode(), text.encode()) else ""
