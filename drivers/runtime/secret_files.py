"""A secret of a configuration: written in it, or in a file of its own that it names; and who else may read that.

Owns how such a file is read. Says which key is wrong and never what is in it.
"""

import os
import re
import stat
from pathlib import Path
from typing import Any

from drivers.runtime.config_file import beside, read_regular_file

SECRET_BYTES_MAX = 4096


def settle_secret(
    values: dict[str, Any], name: str, *, config: Path, pattern: str, content: str
) -> list[str]:
    """Put the secret `name` where it belongs, in place of `<name>_file`; what is wrong with how it is kept.

    `values` are those of a table of `config`. What its file holds must fit the pattern as a whole; `content` says so
    to people, going on from "must hold". A secret that others can read is refused, wherever it is.
    """
    file = values.pop(f"{name}_file", None)
    if file is not None and name in values:
        return [f"{name} and {name}_file must not both be given"]
    key, path = name, config
    try:
        if file is not None:
            key = f"{name}_file"
            path = beside(config, file)
            text = read_secret(path)
            if not re.fullmatch(pattern, text):
                return [f"{key} must hold {content}"]
            values[name] = text
        is_exposed = name in values and is_readable_by_others(path)
    except OSError as error:
        return [f"{key} must be a file that can be read: {error.strerror}"]
    except ValueError as error:
        return [f"{key} {error}"]
    if is_exposed:
        return [f"{key}: {path} holds a secret and others can read it; chmod o-rwx {path}"]
    return []


def read_secret(path: Path) -> str:
    """The text of a file, without the white space around. Raises OSError, or ValueError that begins with "must"."""
    content = read_regular_file(path, SECRET_BYTES_MAX + 1)
    if len(content) > SECRET_BYTES_MAX:
        raise ValueError(f"must not be larger than {SECRET_BYTES_MAX} bytes")
    try:
        return content.decode().strip()
    except UnicodeDecodeError:
        raise ValueError("must hold text in UTF-8") from None


def is_readable_by_others(path: Path) -> bool:
    """Whether somebody besides owner and group has any right to it. Raises OSError."""
    return os.name == "posix" and bool(path.stat().st_mode & stat.S_IRWXO)
