"""The credential with which the REST facade calls the core.

Owns where it comes from: the setting, else the file, which is made at the first start.
"""

import os
import secrets
from pathlib import Path

CREDENTIAL_BYTES = 32
CHARACTERS_MIN = 16


class CredentialError(Exception):
    """The credential's file cannot be used. Never quotes the credential."""


def load(given: str, path: Path, *, create: bool) -> str:
    """`given` if it is set, else what stands in the file. `create`: a missing file is made, for its owner only.

    Raises CredentialError with the file's name.
    """
    if given:
        return given
    if create:
        _create(path)
    if not path.exists():
        raise CredentialError(f"{path}: the service credential is missing; run infinireach secrets")
    try:
        credential = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialError(f"{path}: the service credential cannot be read: {error}") from None
    if len(credential) < CHARACTERS_MIN:
        raise CredentialError(f"{path}: a service credential has at least {CHARACTERS_MIN} characters")
    return credential


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
