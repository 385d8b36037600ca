"""The stub core's messages and keys.

Owns just enough behaviour for the facade's own promises; the core's rules are tested with the core.
"""

# ruff: noqa: N802 - methods are named as in the proto and do what it says

import grpc

from infinireach.v1 import (
    accounts_service_pb2,
    accounts_service_pb2_grpc,
    message_pb2,
    messages_service_pb2,
    messages_service_pb2_grpc,
)
from tests.integration.rest_facade.stub_world import NOW, Context, Guarded, refuse


class Accounts(Guarded, accounts_service_pb2_grpc.AccountsServiceServicer):
    """Keys."""

    async def ResolveApiKey(
        self, request: accounts_service_pb2.ResolveApiKeyRequest, context: Context
    ) -> accounts_service_pb2.ResolveApiKeyResponse:
        await self.enter(context)
        self.world.resolved.append(request.key)
        record = self.world.keys.get(request.key)
        if record is None:
            await refuse(
                context, grpc.StatusCode.UNAUTHENTICATED, "The API key is unknown.", reason="UNAUTHENTICATED"
            )
        return accounts_service_pb2.ResolveApiKeyResponse(api_key=record)


class Messages(Guarded, messages_service_pb2_grpc.MessagesServiceServicer):
    """Messages."""

    async def BatchCreateMessages(
        self, request: messages_service_pb2.BatchCreateMessagesRequest, context: Context
    ) -> messages_service_pb2.BatchCreateMessagesResponse:
        await self.enter(context)
        self.world.batches.append(len(request.items))
        self.world.batch_arrived.set()
        await self.world.gate.wait()
        return messages_service_pb2.BatchCreateMessagesResponse(results=map(self._accept, request.items))

    def _accept(
        self, item: messages_service_pb2.BatchCreateMessagesRequest.Item
    ) -> messages_service_pb2.BatchCreateMessagesResponse.Result:
        result = messages_service_pb2.BatchCreateMessagesResponse.Result
        world, new, tenant_id = self.world, item.message, item.tenant_id
        sender = getattr(new, "from")
        world.traceparents.append(new.traceparent)
        device_id = world.numbers.get((tenant_id, sender))
        if new.text == "refused by the core":
            return result(
                error=messages_service_pb2.ItemError(
                    reason="INVALID_MESSAGE",
                    message="text: is not wanted",
                    field_violations=[
                        messages_service_pb2.FieldViolation(field="text", description="is not wanted")
                    ],
                )
            )
        if new.HasField("template") and new.template.name == "not_of_this_device":
            return result(
                error=messages_service_pb2.ItemError(
                    reason="INVALID_MESSAGE",
                    message="template: the device cannot send templates",
                    field_violations=[
                        messages_service_pb2.FieldViolation(
                            field="template", description="the device cannot send templates"
                        ),
                        messages_service_pb2.FieldViolation(
                            field="template.components_json", description="is not wanted"
                        ),
                    ],
                )
            )
        if device_id is None or (new.device_id and new.device_id != device_id):
            return result(
                error=messages_service_pb2.ItemError(
                    reason="DEVICE_NOT_FOUND", message=f"No device {sender}."
                )
            )
        if new.external_id:
            earlier = world.external_ids.get((tenant_id, new.external_id))
            if earlier is not None:
                if world.messages[earlier][1].text != new.text:
                    return result(
                        error=messages_service_pb2.ItemError(
                            reason="EXTERNAL_ID_CONFLICT",
                            message="This externalId was used before with different content; nothing was sent.",
                        )
                    )
                return result(message_id=earlier, created=False)
        message_id = world.new_id()
        world.messages[message_id] = (tenant_id, stored(message_id, new, device_id))
        if new.external_id:
            world.external_ids[tenant_id, new.external_id] = message_id
        return result(message_id=message_id, created=True)

    async def PreviewMessage(
        self, request: messages_service_pb2.PreviewMessageRequest, context: Context
    ) -> messages_service_pb2.PreviewMessageResponse:
        tenant_id = await self.enter(context)
        device_id = self.world.numbers.get((tenant_id, getattr(request.message, "from")))
        if device_id is None:
            await refuse(context, grpc.StatusCode.NOT_FOUND, "No device.", reason="DEVICE_NOT_FOUND")
        return messages_service_pb2.PreviewMessageResponse(
            encoding=message_pb2.ENCODING_UCS2,
            segments=2,
            units=81,
            unicode_characters=["漢"],
            device_id=device_id,
        )

    async def GetMessage(
        self, request: messages_service_pb2.GetMessageRequest, context: Context
    ) -> messages_service_pb2.GetMessageResponse:
        return messages_service_pb2.GetMessageResponse(message=await self._own(request.message_id, context))

    async def ListMessages(
        self, request: messages_service_pb2.ListMessagesRequest, context: Context
    ) -> messages_service_pb2.ListMessagesResponse:
        tenant_id = await self.enter(context)
        self.world.lists.append(request)
        before = request.page_token or "g"
        if request.page_token and not request.page_token.startswith("0"):
            await refuse(
                context,
                grpc.StatusCode.INVALID_ARGUMENT,
                "page_token: is not one",
                reason="INVALID_ARGUMENT",
                violations=[("page_token", "is not one that an earlier page gave")],
            )
        own = [
            message
            for identifier, (owner, message) in sorted(self.world.messages.items(), reverse=True)
            if owner == tenant_id and identifier < before and request.state in {0, message.state}
        ]
        size = request.page_size or 50
        return messages_service_pb2.ListMessagesResponse(
            messages=own[:size], next_page_token=own[size - 1].id if len(own) > size else ""
        )

    async def GetMessageTimeline(
        self, request: messages_service_pb2.GetMessageTimelineRequest, context: Context
    ) -> messages_service_pb2.GetMessageTimelineResponse:
        await self._own(request.message_id, context)
        step = message_pb2.TimelineEntry(
            time=NOW, step="accepted", description="Accepted and stored.", attributes={"segments": "1"}
        )
        return messages_service_pb2.GetMessageTimelineResponse(entries=[step])

    async def CancelMessage(
        self, request: messages_service_pb2.CancelMessageRequest, context: Context
    ) -> messages_service_pb2.CancelMessageResponse:
        message = await self._own(request.message_id, context)
        if message.state != message_pb2.MESSAGE_STATE_QUEUED:
            await refuse(
                context,
                grpc.StatusCode.FAILED_PRECONDITION,
                "The message is past the point where it can be cancelled.",
                reason="NOT_CANCELLABLE",
            )
        message.state = message_pb2.MESSAGE_STATE_CANCELLED
        message.failure.reason = message_pb2.FAILURE_REASON_CANCELLED
        message.fail_time.CopyFrom(NOW)
        return messages_service_pb2.CancelMessageResponse(message=message)

    async def _own(self, message_id: str, context: Context) -> message_pb2.Message:
        tenant_id = await self.enter(context)
        owner, message = self.world.messages.get(message_id, ("", message_pb2.Message()))
        if owner != tenant_id:
            await self.not_found(context)
        return message


def stored(message_id: str, new: messages_service_pb2.NewMessage, device_id: str) -> message_pb2.Message:
    """The message that the stub keeps for a new one."""
    return message_pb2.Message(
        template=new.template if new.HasField("template") else None,
        media=new.media if new.HasField("media") else None,
        id=message_id,
        external_id=new.external_id,
        channel=new.channel,
        direction=message_pb2.DIRECTION_OUTBOUND,
        source=getattr(new, "from"),
        destination=new.to,
        text=new.text,
        device_id=device_id,
        state=message_pb2.MESSAGE_STATE_QUEUED,
        segments=1,
        encoding=message_pb2.ENCODING_GSM7,
        create_time=NOW,
    )
