"""Who calls: metadata in, `Caller` out.

Owns how a credential is read from a call's metadata and what it entitles to. Knows neither services nor how
an API key is looked up: that is the `ApiKeys` it is given.

Two kinds of callers. A service presents `authorization: Bearer <service credential>` and names the tenant in
`x-tenant-id`; it may do everything. Everybody else presents an API key in `x-api-key`, which belongs to one
tenant, so that `x-tenant-id` means nothing then.
"""

import hmac
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from core.accounts import ADMIN_SCOPE
from core.errors import FieldViolation, InvalidArgument, ServiceCredentialRefused, Unauthenticated
from core.ids import is_id

AUTHORIZATION = "authorization"
API_KEY = "x-api-key"
API_KEY_ID = "x-api-key-id"
TENANT_ID = "x-tenant-id"
REQUEST_ID = "x-request-id"

_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_API_KEY_ID = re.compile(r"[0-9A-Za-z]{1,64}")
_BEARER = "bearer "

Metadata = Iterable[tuple[str, str | bytes]]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call and what they may do.

    `tenant_id` is empty only in calls that name no tenant; `key_id` is empty if a service names none.
    """

    tenant_id: str
    key_id: str
    scopes: frozenset[str]
    is_service: bool
    request_id: str
    counts: dict[str, int] = field(default_factory=dict[str, int], compare=False, repr=False)
    """Figures for the call's log event; see `count`."""

    def may(self, scope: str) -> bool:
        """Whether the caller holds `scope`."""
        return scope in self.scopes or ADMIN_SCOPE in self.scopes

    def count(self, **figures: int) -> None:
        """Add figures to the call's log event, for example `items=500, refused=2`."""
        self.counts.update(figures)


class ApiKeyIdentity(Protocol):
    """What the edge needs to know of an API key."""

    @property
    def tenant_id(self) -> str:
        """Whose it is."""
        ...

    @property
    def key_id(self) -> str:
        """Its public id."""
        ...

    @property
    def scopes(self) -> frozenset[str]:
        """What it may do."""
        ...


class ApiKeys(Protocol):
    """Finds out whose an API key is."""

    async def resolve(self, key: str) -> ApiKeyIdentity:
        """The live key that `key` is. Raises Unauthenticated."""
        ...


class Identity:
    """Authenticates calls. One per process; `service_credentials` are all that are valid at present."""

    def __init__(self, service_credentials: Sequence[str], api_keys: ApiKeys) -> None:
        if not all(service_credentials):
            raise ValueError("a service credential must not be empty")
        self._service_credentials = tuple(credential.encode() for credential in service_credentials)
        self._api_keys = api_keys

    async def caller(self, metadata: Metadata, *, tenantless: bool) -> Caller:
        """Who a call with this metadata comes from. Raises Unauthenticated and InvalidArgument.

        `tenantless`: a service need not name a tenant.
        """
        named = text_of(metadata)
        if AUTHORIZATION in named:
            self._check_service(named[AUTHORIZATION])
            return _service_caller(named, tenantless=tenantless)
        if API_KEY not in named:
            raise Unauthenticated("The call carries no credential.")
        key = await self._api_keys.resolve(named[API_KEY])
        return Caller(
            tenant_id=key.tenant_id,
            key_id=key.key_id,
            scopes=key.scopes,
            is_service=False,
            request_id=request_id(named),
        )

    def _check_service(self, authorization: str) -> None:
        given = authorization[len(_BEARER) :].encode(errors="replace")
        known = [hmac.compare_digest(given, credential) for credential in self._service_credentials]
        if not authorization.lower().startswith(_BEARER) or not any(known):
            raise ServiceCredentialRefused


def _service_caller(named: Mapping[str, str], *, tenantless: bool) -> Caller:
    tenant_id = named.get(TENANT_ID, "")
    if not is_id(tenant_id) and (tenant_id or not tenantless):
        raise InvalidArgument([FieldViolation(TENANT_ID, "must be the id of a tenant")])
    key_id = named.get(API_KEY_ID, "")
    return Caller(
        tenant_id=tenant_id,
        key_id=key_id if _API_KEY_ID.fullmatch(key_id) else "",
        scopes=frozenset({ADMIN_SCOPE}),
        is_service=True,
        request_id=request_id(named),
    )


def text_of(metadata: Metadata) -> dict[str, str]:
    """The text values of a call's metadata by key; the last one where a key repeats."""
    return {key: value for key, value in metadata if isinstance(value, str)}


def request_id(named: Mapping[str, str]) -> str:
    """The caller's id of this request if it is short and printable, else a new one."""
    given = named.get(REQUEST_ID, "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(12)
