"""The credentials with which REST facades call the core: one, or during a change two.

Owns where they come from: the setting, else the file, which is made at the first start. Each has a line of its own; the
facade shows the first one.
"""

import os
import secrets
from pathlib import Path

CREDENTIAL_BYTES = 32
CHARACTERS_MIN = 16


CREDENTIALS_MAX = 2
"""The old one and the new one, while facades change over."""


class CredentialError(Exception):
    """The credentials cannot be used. Never quotes one."""


def load(given: str, path: Path, *, create: bool) -> list[str]:
    """All that `given` holds if it is set, else what stands in the file; at least one.

    `create`: a missing file is made, for its owner only. Raises CredentialError with the file's name.
    """
    if given:
        return _lines(given, "the setting")
    if create:
        _create(path)
    if not path.exists():
        raise CredentialError(f"{path}: the service credential is missing; run infinireach secrets")
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialError(f"{path}: the service credential cannot be read: {error}") from None
    credentials = _lines(text, str(path))
    if any(len(credential) < CHARACTERS_MIN for credential in credentials):
        raise CredentialError(f"{path}: a service credential has at least {CHARACTERS_MIN} characters")
    return credentials


def _lines(text: str, source: str) -> list[str]:
    """The lines that hold something. Raises CredentialError if there are none or too many."""
    found = [line.strip() for line in text.splitlines() if line.strip()]
    if not 1 <= len(found) <= CREDENTIALS_MAX:
        raise CredentialError(
            f"{source}: one service credential is needed, or {CREDENTIALS_MAX} during a change, a line each"
        )
    return found


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(CREDENTIAL_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)  # whole or not at all, and never over one that is there
    except FileExistsError:
        pass
    finally:
        draft.unlink()
