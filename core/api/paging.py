"""Pages of lists: their size, and the opaque tokens that say where the next one begins.

Owns both forms. A token holds the position after which to go on and nothing secret; it is not signed, since
what it points to is looked up within the caller's tenant all the same, but whatever is no token is refused.
"""

import base64
import binascii
import re
from collections.abc import Callable

from core.errors import FieldViolation, InvalidArgument
from core.ids import is_id

PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MAX = 200
TOKEN_CHARACTERS_MAX = 128

_VERSION = "1:"
_TOKEN = re.compile(rf"[0-9A-Za-z_-]{{1,{TOKEN_CHARACTERS_MAX}}}")
_POSITION = re.compile("0|[1-9][0-9]{0,17}")


def page_size(requested: int) -> int:
    """How many items a page has; 0 asks for the usual number. Raises InvalidArgument."""
    if not 0 <= requested <= PAGE_SIZE_MAX:
        raise InvalidArgument([
            FieldViolation("page_size", f"must be 1 to {PAGE_SIZE_MAX}, or 0 for the default")
        ])
    return requested or PAGE_SIZE_DEFAULT


def encode(position: str) -> str:
    """The token for the page after `position`."""
    return base64.urlsafe_b64encode((_VERSION + position).encode()).decode("ascii").rstrip("=")


def decode(token: str, *, field: str = "page_token", is_valid: Callable[[str], bool] = is_id) -> str:
    """The position in a token, empty for the first page. Raises InvalidArgument that names `field`.

    `is_valid` says whether a position has the form that `encode` was given, by default an id.
    """
    if not token:
        return ""
    position = _position(token)
    if position is None or not is_valid(position):
        raise InvalidArgument([FieldViolation(field, "is not one that an earlier answer gave")])
    return position


def encode_cursor(position: int) -> str:
    """The cursor for what follows the event at `position`."""
    return encode(str(position))


def decode_cursor(cursor: str, *, field: str) -> int:
    """The position in a cursor; 0, before the oldest, if it is empty. Raises InvalidArgument."""
    return int(decode(cursor, field=field, is_valid=lambda text: _POSITION.fullmatch(text) is not None) or 0)


def _position(token: str) -> str | None:
    if _TOKEN.fullmatch(token) is None:
        return None
    padded = token + "=" * (-len(token) % 4)
    try:
        plain = base64.urlsafe_b64decode(padded).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return None
    position = plain.removeprefix(_VERSION)
    # Only what encode gives: of the spellings that base64 has for the same bytes, that is one.
    return position if encode(position) == token else None
