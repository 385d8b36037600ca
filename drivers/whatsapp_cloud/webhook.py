"""Meta's webhooks: the handshake, the signature, and what is in them (Meta's "Webhooks: getting started").

Owns what is believed: only changes of a number whose app's secret signed the raw body. A webhook is answered with 200
once all of it is on disk; anything else makes Meta send it again.
"""

import hmac
import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from drivers.runtime import Context, JournalUnwritable
from drivers.runtime.hooks import HookAnswer, HookRequest
from drivers.whatsapp_cloud.config import WebhookConfig
from drivers.whatsapp_cloud.counts import Counts
from drivers.whatsapp_cloud.fields import Json, object_in, objects_in, text_in
from drivers.whatsapp_cloud.inbound import Malformed, identity_of, to_inbound
from drivers.whatsapp_cloud.number import Number
from drivers.whatsapp_cloud.replies import Replies
from drivers.whatsapp_cloud.signatures import Signatures
from drivers.whatsapp_cloud.statuses import Statuses

CHALLENGE_CHARACTERS_MAX = 256
FIELD = "messages"
"""The only field of an app's subscription that this driver reads."""


class Webhook:
    """Answers requests to the webhook's path."""

    def __init__(
        self,
        context: Context,
        config: WebhookConfig,
        numbers: Mapping[str, Number],
        *,
        statuses: Statuses,
        replies: Replies,
        counts: Counts,
    ) -> None:
        """`numbers` by their phone number id."""
        self._context = context
        self._config = config
        self._numbers = numbers
        self._signatures = Signatures(numbers)
        self._statuses = statuses
        self._replies = replies
        self._counts = counts

    async def answer(self, request: HookRequest) -> HookAnswer:
        """The answer; see `HookListener`."""
        if request.path != self._config.path:
            return HookAnswer(404)
        match request.method:
            case "GET":
                return self._verify(request.query)
            case "POST":
                return await self._take(request)
            case _:
                return HookAnswer(405)

    def _verify(self, query: Mapping[str, str]) -> HookAnswer:
        """The handshake."""
        told = query.get("hub.verify_token", "").encode(errors="replace")
        challenge = query.get("hub.challenge", "")
        is_right = hmac.compare_digest(told, self._config.verify_token.text.encode())
        if query.get("hub.mode") != "subscribe" or not is_right or len(challenge) > CHALLENGE_CHARACTERS_MAX:
            self._counts.dropped("handshake_refused")
            return HookAnswer(403)
        return HookAnswer(200, challenge.encode(errors="replace"))

    async def _take(self, request: HookRequest) -> HookAnswer:
        signers = await self._signatures.signers(request)
        if not signers:
            self._counts.dropped("wrongly_signed")
            return HookAnswer(401)
        try:
            document: Any = json.loads(request.body)
        except (ValueError, RecursionError):
            self._counts.dropped("malformed")
            return HookAnswer(400)
        try:
            for change in _changes(document):
                await self._apply(change, signers)
        except JournalUnwritable:
            return HookAnswer(503)
        return HookAnswer(200)

    async def _apply(self, change: Json, signers: set[str]) -> None:
        if text_in(change, "field", 64) != FIELD:
            self._counts.applied("ignored")
            return
        value = object_in(change, "value")
        number = self._numbers.get(text_in(object_in(value, "metadata"), "phone_number_id", 64))
        if number is None:
            self._counts.dropped("unknown_number")
            return
        if number.config.app_secret.text not in signers:
            self._counts.dropped("wrongly_signed")
            return
        await self._statuses.apply(number, objects_in(value, "statuses"))
        contacts = objects_in(value, "contacts")
        for message in objects_in(value, "messages"):
            await self._receive(number, message, contacts)

    async def _receive(self, number: Number, message: Json, contacts: list[Json]) -> None:
        try:
            inbound = to_inbound(
                message,
                contacts,
                device_key=number.config.name,
                number=number.config.number,
                command_of=partial(self._replies.command, number.config.phone_number_id),
            )
            identity = identity_of(message, number.config.phone_number_id)
            await self._context.received(inbound, identity=identity)
        except Malformed:
            self._counts.dropped("malformed")
        else:
            self._counts.applied("message_applied")


def _changes(document: Any) -> list[Json]:
    """All changes of all entries."""
    return [change for entry in objects_in(document, "entry") for change in objects_in(entry, "changes")]
