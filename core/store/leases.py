"""Queries on leases: who does what only one process of all does.

Owns that one holder has a name at a time, by PostgreSQL's clock: clocks of machines differ, the database has one.
A database of a single machine needs no leases.
"""

from sqlalchemy import BigInteger, bindparam, cast, delete, func, or_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from core.store.rows import LeaseRow

_lease = LeaseRow.__table__  # pyright: ignore[reportAttributeAccessIssue]

_now_ms = cast(func.extract("epoch", func.clock_timestamp()) * 1000, BigInteger)
_taken = insert(_lease).values(
    name=bindparam("lease_name"),
    holder=bindparam("lease_holder"),
    until_ms=_now_ms + bindparam("lease_ms", type_=BigInteger),
)
_take = _taken.on_conflict_do_update(
    index_elements=[_lease.c.name],
    set_={"holder": _taken.excluded.holder, "until_ms": _taken.excluded.until_ms},
    where=or_(_lease.c.holder == _taken.excluded.holder, _lease.c.until_ms <= _now_ms),
).returning(_lease.c.holder)
_release = delete(_lease).where(
    _lease.c.name == bindparam("lease_name"), _lease.c.holder == bindparam("lease_holder")
)


def take(session: Session, name: str, holder: str, lease_ms: int) -> bool:
    """Take or renew the lease for so long; whether it is held now."""
    values = {"lease_name": name, "lease_holder": holder, "lease_ms": lease_ms}
    return session.execute(_take, values).scalar_one_or_none() is not None


def release(session: Session, name: str, holder: str) -> None:
    """Let go of it, if it is held."""
    session.execute(_release, {"lease_name": name, "lease_holder": holder})
