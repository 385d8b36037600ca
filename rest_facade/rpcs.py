"""The core's methods that the facade calls, with their types and whether a call may be repeated.

Owns the table. Must not know how a call is made.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

from infinireach.v1 import accounts_service_pb2 as accounts
from infinireach.v1 import devices_service_pb2 as devices
from infinireach.v1 import messages_service_pb2 as messages
from infinireach.v1 import webhooks_service_pb2 as webhooks

WEBHOOK_TIMEOUT_S_MAX = 30.0
"""What a customer's endpoint may take at most."""

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


@dataclass(frozen=True, slots=True)
class Rpc(Generic[Request, Response]):
    """One unary method.

    `repeatable`: it changes nothing, so a lost call may simply be made again. `takes_s`: seconds that it may take
    beyond the usual time for a call.
    """

    path: str
    request: type[Request]
    response: type[Response]
    repeatable: bool = False
    takes_s: float = 0.0


_MESSAGES = "/infinireach.v1.MessagesService/"
BATCH_CREATE_MESSAGES = Rpc(
    _MESSAGES + "BatchCreateMessages",
    messages.BatchCreateMessagesRequest,
    messages.BatchCreateMessagesResponse,
)
PREVIEW_MESSAGE = Rpc(
    _MESSAGES + "PreviewMessage",
    messages.PreviewMessageRequest,
    messages.PreviewMessageResponse,
    repeatable=True,
)
GET_MESSAGE = Rpc(
    _MESSAGES + "GetMessage", messages.GetMessageRequest, messages.GetMessageResponse, repeatable=True
)
LIST_MESSAGES = Rpc(
    _MESSAGES + "ListMessages", messages.ListMessagesRequest, messages.ListMessagesResponse, repeatable=True
)
GET_MESSAGE_TIMELINE = Rpc(
    _MESSAGES + "GetMessageTimeline",
    messages.GetMessageTimelineRequest,
    messages.GetMessageTimelineResponse,
    repeatable=True,
)
CANCEL_MESSAGE = Rpc(
    _MESSAGES + "CancelMessage", messages.CancelMessageRequest, messages.CancelMessageResponse
)

_DEVICES = "/infinireach.v1.DevicesService/"
LIST_DEVICES = Rpc(
    _DEVICES + "ListDevices", devices.ListDevicesRequest, devices.ListDevicesResponse, repeatable=True
)
GET_DEVICE = Rpc(_DEVICES + "GetDevice", devices.GetDeviceRequest, devices.GetDeviceResponse, repeatable=True)
UPDATE_DEVICE = Rpc(_DEVICES + "UpdateDevice", devices.UpdateDeviceRequest, devices.UpdateDeviceResponse)
DELETE_DEVICE = Rpc(_DEVICES + "DeleteDevice", devices.DeleteDeviceRequest, devices.DeleteDeviceResponse)
CREATE_DRIVER_TOKEN = Rpc(
    _DEVICES + "CreateDriverToken", devices.CreateDriverTokenRequest, devices.CreateDriverTokenResponse
)
LIST_DRIVER_TOKENS = Rpc(
    _DEVICES + "ListDriverTokens",
    devices.ListDriverTokensRequest,
    devices.ListDriverTokensResponse,
    repeatable=True,
)
DELETE_DRIVER_TOKEN = Rpc(
    _DEVICES + "DeleteDriverToken", devices.DeleteDriverTokenRequest, devices.DeleteDriverTokenResponse
)

_WEBHOOKS = "/infinireach.v1.WebhooksService/"
CREATE_WEBHOOK = Rpc(
    _WEBHOOKS + "CreateWebhook", webhooks.CreateWebhookRequest, webhooks.CreateWebhookResponse
)
GET_WEBHOOK = Rpc(
    _WEBHOOKS + "GetWebhook", webhooks.GetWebhookRequest, webhooks.GetWebhookResponse, repeatable=True
)
LIST_WEBHOOKS = Rpc(
    _WEBHOOKS + "ListWebhooks", webhooks.ListWebhooksRequest, webhooks.ListWebhooksResponse, repeatable=True
)
UPDATE_WEBHOOK = Rpc(
    _WEBHOOKS + "UpdateWebhook", webhooks.UpdateWebhookRequest, webhooks.UpdateWebhookResponse
)
DELETE_WEBHOOK = Rpc(
    _WEBHOOKS + "DeleteWebhook", webhooks.DeleteWebhookRequest, webhooks.DeleteWebhookResponse
)
ENABLE_WEBHOOK = Rpc(
    _WEBHOOKS + "EnableWebhook", webhooks.EnableWebhookRequest, webhooks.EnableWebhookResponse
)
TEST_WEBHOOK = Rpc(
    _WEBHOOKS + "TestWebhook",
    webhooks.TestWebhookRequest,
    webhooks.TestWebhookResponse,
    takes_s=WEBHOOK_TIMEOUT_S_MAX,
)
LIST_DELIVERIES = Rpc(
    _WEBHOOKS + "ListDeliveries",
    webhooks.ListDeliveriesRequest,
    webhooks.ListDeliveriesResponse,
    repeatable=True,
)
GET_DELIVERY = Rpc(
    _WEBHOOKS + "GetDelivery", webhooks.GetDeliveryRequest, webhooks.GetDeliveryResponse, repeatable=True
)
REDELIVER_DELIVERY = Rpc(
    _WEBHOOKS + "RedeliverDelivery", webhooks.RedeliverDeliveryRequest, webhooks.RedeliverDeliveryResponse
)
LIST_EVENTS = Rpc(
    _WEBHOOKS + "ListEvents", webhooks.ListEventsRequest, webhooks.ListEventsResponse, repeatable=True
)

RESOLVE_API_KEY = Rpc(
    "/infinireach.v1.AccountsService/ResolveApiKey",
    accounts.ResolveApiKeyRequest,
    accounts.ResolveApiKeyResponse,
    repeatable=True,
)
