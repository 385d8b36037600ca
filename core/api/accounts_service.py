"""AccountsService: whose an API key is, and a tenant's own keys.

Owns the walk of one call: validate, one use case, convert. The rules are in core.accounts and
core.api.validate.
"""

# ruff: noqa: N802 - methods are named as in the proto

from core import accounts
from core.api import convert_accounts as convert
from core.api import validate
from core.api.guard import Caller, Identity, rpc
from core.api.key_cache import KeyCache
from core.clock import Clock
from core.store.engine import Store
from infinireach.v1 import accounts_service_pb2 as pb
from infinireach.v1 import accounts_service_pb2_grpc as pb_grpc


class AccountsService(pb_grpc.AccountsServiceServicer):
    """See accounts_service.proto."""

    def __init__(self, identity: Identity, store: Store, clock: Clock, *, keys: KeyCache) -> None:
        self.identity = identity
        self._store = store
        self._clock = clock
        self._keys = keys

    @rpc(scope=None, service_only=True, tenantless=True)
    async def ResolveApiKey(
        self, request: pb.ResolveApiKeyRequest, caller: Caller
    ) -> pb.ResolveApiKeyResponse:
        """Whose a key is at this moment: the facade keeps the answer, so it gets none that was kept here."""
        found = await self._keys.resolve_now(request.key)
        return pb.ResolveApiKeyResponse(api_key=convert.api_key(found.record))

    @rpc(scope="admin")
    async def CreateApiKey(self, request: pb.CreateApiKeyRequest, caller: Caller) -> pb.CreateApiKeyResponse:
        """Makes a key."""
        new = validate.new_api_key(request, caller.tenant_id)
        record, key = await self._store.run(accounts.create_api_key, new, self._clock.now_ms())
        return pb.CreateApiKeyResponse(api_key=convert.api_key(record), key=key)

    @rpc(scope="admin")
    async def ListApiKeys(self, request: pb.ListApiKeysRequest, caller: Caller) -> pb.ListApiKeysResponse:
        """The tenant's keys."""
        records = await self._store.read(accounts.list_api_keys, caller.tenant_id)
        return pb.ListApiKeysResponse(api_keys=map(convert.api_key, records))

    @rpc(scope="admin")
    async def RevokeApiKey(self, request: pb.RevokeApiKeyRequest, caller: Caller) -> pb.RevokeApiKeyResponse:
        """Revokes a key."""
        key_id = validate.credential_id("API key", "api_key_id", request.api_key_id)
        record = await self._store.run(
            accounts.revoke_api_key, caller.tenant_id, key_id, self._clock.now_ms()
        )
        return pb.RevokeApiKeyResponse(api_key=convert.api_key(record))
