"""Tenants, API keys and driver tokens, and the form of what is shown of them."""

import re
from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from core import accounts, credentials
from core.accounts import NewApiKey
from core.credentials import API_KEY_PREFIX, DRIVER_TOKEN_PREFIX
from core.errors import AlreadyExists, InvalidArgument, NotFound, Unauthenticated
from core.ids import is_id
from core.store.rows import ApiKeyRow, DriverTokenRow
from tests.fakes.database import TENANT_A, TENANT_B, memory_session
from tests.fakes.set_clock import START_MS

pytestmark = pytest.mark.usefixtures("database")

NOW_MS = START_MS
MINUTE_MS = 60_000
IMPORTED = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"


@pytest.fixture
def session() -> Generator[Session]:
    with memory_session() as session:
        yield session


def resolve(session: Session, key: str, now_ms: int = NOW_MS) -> accounts.ApiKeyRecord:
    return accounts.resolve_api_key(session, accounts.read_api_key(key), now_ms)


def a_key(session: Session, *scopes: str, tenant_id: str = TENANT_A) -> tuple[accounts.ApiKeyRecord, str]:
    return accounts.create_api_key(session, NewApiKey(tenant_id, scopes or ("messages:send",)), NOW_MS)


# The form of credentials


@pytest.mark.parametrize("prefix", [API_KEY_PREFIX, DRIVER_TOKEN_PREFIX])
def test_a_new_credential_is_prefix_public_id_secret_and_checksum(prefix: str) -> None:
    text = credentials.new_credential(prefix)
    assert re.fullmatch(prefix + "[0-9A-Za-z]{46}", text)
    credential = credentials.parse(text, prefix)
    assert credential is not None
    assert credential.public_id == text[4:12]


def test_new_credentials_differ() -> None:
    assert len({credentials.new_credential(API_KEY_PREFIX) for _ in range(1000)}) == 1000


def test_the_checksum_is_crc_32_in_six_base62_digits() -> None:
    # CRC-32 of "123456789" is 0xCBF43926 by definition of the algorithm.
    digits = credentials.checksum("123456789")
    value = 0
    for digit in digits:
        value = value * 62 + credentials.BASE62.index(digit)
    assert (len(digits), value) == (6, 0xCBF43926)


@given(position=st.integers(0, 49), replacement=st.sampled_from(credentials.BASE62))
def test_a_credential_with_one_wrong_character_is_malformed(position: int, replacement: str) -> None:
    text = credentials.new_credential(API_KEY_PREFIX)
    changed = text[:position] + replacement + text[position + 1 :]
    assert (credentials.parse(changed, API_KEY_PREFIX) is not None) == (changed == text)


def test_a_key_is_no_token_and_a_token_no_key() -> None:
    assert credentials.parse(credentials.new_credential(API_KEY_PREFIX), DRIVER_TOKEN_PREFIX) is None
    assert credentials.parse(credentials.new_credential(DRIVER_TOKEN_PREFIX), API_KEY_PREFIX) is None
    assert credentials.parse_foreign(credentials.new_credential(DRIVER_TOKEN_PREFIX)) is None


@pytest.mark.parametrize(
    "text", ["", "short", "with space in it", "tab\tinside-it", "ключ-ключ-ключ", "x" * 256]
)
def test_a_foreign_key_is_8_to_255_printable_characters_without_space(text: str) -> None:
    assert credentials.parse_foreign(text) is None


def test_a_credential_does_not_show_its_digest() -> None:
    credential = credentials.parse_foreign(IMPORTED)
    assert credential is not None
    assert "sha256" not in repr(credential)


# Tenants


def test_a_tenant_has_an_id_a_name_and_a_rate(session: Session) -> None:
    tenant = accounts.create_tenant(session, "Example", 100, NOW_MS)
    assert is_id(tenant.id)
    assert accounts.find_tenant(session, "Example").id == tenant.id
    assert [known.name for known in accounts.list_tenants(session)] == ["Tenant A", "Tenant B", "Example"]


def test_a_tenant_name_is_unique(session: Session) -> None:
    with pytest.raises(AlreadyExists, match="Tenant A"):
        accounts.create_tenant(session, "Tenant A", 100, NOW_MS)


def test_an_unknown_tenant_is_not_found(session: Session) -> None:
    with pytest.raises(NotFound):
        accounts.find_tenant(session, "Nobody")


# API keys


def test_a_new_key_resolves_to_its_tenant_and_scopes(session: Session) -> None:
    made, key = a_key(session, "webhooks", "messages:send")
    found = resolve(session, key)
    assert found == made
    assert (found.row.tenant_id, found.row.id) == (TENANT_A, key[4:12])
    assert found.row.scopes == "messages:send webhooks"


def test_only_the_digest_of_a_key_is_stored(session: Session) -> None:
    _, key = a_key(session)
    row = session.execute(select(ApiKeyRow)).scalar_one()
    assert key[12:] not in str(row.model_dump())
    assert len(row.secret_sha256) == 32


def test_a_key_without_a_rate_has_its_tenants(session: Session) -> None:
    _, plain = a_key(session, tenant_id=TENANT_B)
    _, own = accounts.create_api_key(session, NewApiKey(TENANT_B, ["admin"], per_minute=7), NOW_MS)
    assert [resolve(session, key).per_minute for key in (plain, own)] == [200, 7]
    assert sorted(record.per_minute for record in accounts.list_api_keys(session, TENANT_B)) == [7, 200]


def test_a_well_formed_key_that_nobody_made_is_unauthenticated(session: Session) -> None:
    with pytest.raises(Unauthenticated):
        resolve(session, credentials.new_credential(API_KEY_PREFIX))


def test_the_public_id_of_a_key_with_another_secret_is_unauthenticated(session: Session) -> None:
    _, key = a_key(session)
    signed = key[:12] + "A" * 32
    with pytest.raises(Unauthenticated):
        resolve(session, signed + credentials.checksum(signed))


@pytest.mark.parametrize(
    "key", ["", "irk_", "irk_tooshort", "irk_" + "A" * 46, "ird_" + "A" * 46, "a b", "x" * 300]
)
def test_a_malformed_key_is_refused_before_any_query(key: str) -> None:
    with pytest.raises(Unauthenticated):
        accounts.read_api_key(key)


def test_a_key_stops_at_its_expiry(session: Session) -> None:
    new = NewApiKey(TENANT_A, ["admin"], expires_ms=NOW_MS + 1000)
    _, key = accounts.create_api_key(session, new, NOW_MS)
    assert resolve(session, key, NOW_MS + 999)
    with pytest.raises(Unauthenticated):
        resolve(session, key, NOW_MS + 1000)


def test_a_key_cannot_be_made_with_an_expiry_in_the_past(session: Session) -> None:
    with pytest.raises(InvalidArgument) as refused:
        accounts.create_api_key(session, NewApiKey(TENANT_A, ["admin"], expires_ms=NOW_MS), NOW_MS)
    assert [violation.field for violation in refused.value.violations] == ["expire_time"]


def test_a_key_for_a_tenant_that_does_not_exist_is_not_made(session: Session) -> None:
    with pytest.raises(NotFound):
        a_key(session, tenant_id="f" * 24)


def test_a_revoked_key_stops_working_and_stays_listed(session: Session) -> None:
    made, key = a_key(session)
    accounts.revoke_api_key(session, TENANT_A, made.row.id, NOW_MS + 1)
    with pytest.raises(Unauthenticated):
        resolve(session, key, NOW_MS + 2)
    assert [record.row.revoked_ms for record in accounts.list_api_keys(session, TENANT_A)] == [NOW_MS + 1]


def test_revoking_again_keeps_the_first_time(session: Session) -> None:
    made, _ = a_key(session)
    accounts.revoke_api_key(session, TENANT_A, made.row.id, NOW_MS + 1)
    again = accounts.revoke_api_key(session, TENANT_A, made.row.id, NOW_MS + 2)
    assert again.row.revoked_ms == NOW_MS + 1


@pytest.mark.parametrize("key_id", ["", "nobodys1"])
def test_revoking_an_unknown_key_is_not_found(session: Session, key_id: str) -> None:
    with pytest.raises(NotFound):
        accounts.revoke_api_key(session, TENANT_A, key_id, NOW_MS)


def test_another_tenants_key_can_be_neither_seen_nor_revoked(session: Session) -> None:
    made, key = a_key(session)
    with pytest.raises(NotFound):
        accounts.revoke_api_key(session, TENANT_B, made.row.id, NOW_MS)
    assert accounts.list_api_keys(session, TENANT_B) == []
    assert resolve(session, key)


def test_keys_are_listed_oldest_first(session: Session) -> None:
    new = NewApiKey(TENANT_A, ["admin"])
    made = [accounts.create_api_key(session, new, NOW_MS + n)[0].row.id for n in (2, 0, 1)]
    assert [record.row.id for record in accounts.list_api_keys(session, TENANT_A)] == [
        made[1],
        made[2],
        made[0],
    ]


def test_an_imported_key_of_another_shape_works(session: Session) -> None:
    made = accounts.import_api_key(session, NewApiKey(TENANT_A, ["admin"]), IMPORTED, NOW_MS)
    assert resolve(session, IMPORTED).row.id == made.row.id
    assert re.fullmatch("[0-9A-Za-z]{8}", made.row.id)
    assert made.row.id not in IMPORTED
    with pytest.raises(Unauthenticated):
        resolve(session, IMPORTED + "x")


def test_an_imported_key_of_our_own_shape_keeps_its_public_id(session: Session) -> None:
    key = credentials.new_credential(API_KEY_PREFIX)
    made = accounts.import_api_key(session, NewApiKey(TENANT_A, ["admin"]), key, NOW_MS)
    assert made.row.id == key[4:12]
    assert resolve(session, key).row.id == made.row.id


def test_a_key_is_imported_once(session: Session) -> None:
    accounts.import_api_key(session, NewApiKey(TENANT_A, ["admin"]), IMPORTED, NOW_MS)
    with pytest.raises(AlreadyExists):
        accounts.import_api_key(session, NewApiKey(TENANT_B, ["admin"]), IMPORTED, NOW_MS)


@pytest.mark.parametrize("key", ["", "short", "irk_of-another-shape", "with a space in it"])
def test_what_cannot_be_a_key_is_not_imported(session: Session, key: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        accounts.import_api_key(session, NewApiKey(TENANT_A, ["admin"]), key, NOW_MS)
    assert [violation.field for violation in refused.value.violations] == ["key"]


def test_the_use_of_a_key_is_written_at_most_once_a_minute(session: Session) -> None:
    made, key = a_key(session)
    written: list[int | None] = []
    for now_ms in (NOW_MS, NOW_MS + MINUTE_MS - 1, NOW_MS + MINUTE_MS):
        accounts.note_api_key_use(session, made.row.id, now_ms)
        session.expire_all()
        written.append(resolve(session, key).row.last_used_ms)
    assert written == [NOW_MS, NOW_MS, NOW_MS + MINUTE_MS]


# Driver tokens


def test_a_driver_token_resolves_to_its_tenant_and_notes_its_use(session: Session) -> None:
    made, token = accounts.create_driver_token(session, TENANT_A, "office", NOW_MS)
    found = accounts.resolve_driver_token(session, token, NOW_MS + 1)
    assert (found.id, found.tenant_id, found.last_used_ms) == (made.id, TENANT_A, NOW_MS + 1)
    again = accounts.resolve_driver_token(session, token, NOW_MS + 2)
    assert again.last_used_ms == NOW_MS + 1


def test_only_the_digest_of_a_driver_token_is_stored(session: Session) -> None:
    _, token = accounts.create_driver_token(session, TENANT_A, "office", NOW_MS)
    assert token[12:] not in str(session.execute(select(DriverTokenRow)).scalar_one().model_dump())


def test_a_revoked_driver_token_is_refused_and_unlisted(session: Session) -> None:
    made, token = accounts.create_driver_token(session, TENANT_A, "office", NOW_MS)
    kept, _ = accounts.create_driver_token(session, TENANT_A, "attic", NOW_MS + 1)
    accounts.revoke_driver_token(session, TENANT_A, made.id, NOW_MS)
    session.flush()
    with pytest.raises(Unauthenticated):
        accounts.resolve_driver_token(session, token, NOW_MS)
    assert [row.id for row in accounts.list_driver_tokens(session, TENANT_A)] == [kept.id]
    with pytest.raises(NotFound):
        accounts.revoke_driver_token(session, TENANT_A, made.id, NOW_MS)


def test_another_tenants_driver_token_can_be_neither_seen_nor_revoked(session: Session) -> None:
    made, _ = accounts.create_driver_token(session, TENANT_A, "office", NOW_MS)
    with pytest.raises(NotFound):
        accounts.revoke_driver_token(session, TENANT_B, made.id, NOW_MS)
    assert not accounts.list_driver_tokens(session, TENANT_B)


@pytest.mark.parametrize("token", ["", "ird_", "ird_" + "A" * 46, "irk_" + "A" * 46, IMPORTED])
def test_what_is_no_driver_token_is_unauthenticated(session: Session, token: str) -> None:
    with pytest.raises(Unauthenticated):
        accounts.resolve_driver_token(session, token, NOW_MS)


def test_a_well_formed_token_that_nobody_made_is_unauthenticated(session: Session) -> None:
    with pytest.raises(Unauthenticated):
        accounts.resolve_driver_token(session, credentials.new_credential(DRIVER_TOKEN_PREFIX), NOW_MS)
