"""Rows of one owner in the order of a key, found by the index of both.

Owns how that is said. A plain `owner = ? AND key > ? ORDER BY key` leaves PostgreSQL the choice to walk an index of the
key alone through the rows of everybody, which it takes to be cheap when it plans for values that it does not know.
"""

from typing import Any

from sqlalchemy import ColumnElement, tuple_
from sqlmodel import col


def span(
    owner: Any, owner_id: str, key: Any, *, after: object = None, before: object = None, since: object = None
) -> list[ColumnElement[bool]]:
    """The conditions: rows of `owner_id` whose key is after, before, or not before a value; None: any.

    Order by the owner as well, or the index gives no order.
    """
    pair, owner = tuple_(col(owner), col(key)), col(owner)
    conditions: list[ColumnElement[bool]] = [owner >= owner_id, owner <= owner_id]
    if after is not None:
        conditions.append(pair > tuple_(owner_id, after))
    if since is not None:
        conditions.append(pair >= tuple_(owner_id, since))
    if before is not None:
        conditions.append(pair < tuple_(owner_id, before))
    return conditions
