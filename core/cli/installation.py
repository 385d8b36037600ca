"""`infinireach secrets`: the files that every core and facade of an installation shares."""

import os
from pathlib import Path

from core import service_credential
from core.cli.context import settings_or_exit
from core.cli.options import AsJson
from core.cli.output import CommandFailed, say, say_json
from core.service_credential import CredentialError
from core.vault import Vault, VaultError


def secrets(*, as_json: AsJson = False) -> None:
    """Make the master keys and the service credential, where they are missing.

    Cores on one database need the same master keys, cores and facades the same service credential: run this once and
    copy the files. Losing the master keys loses the secrets of all webhooks.
    """
    settings = settings_or_exit()
    files = {
        "masterKeyFile": settings.master_key_file,
        "serviceCredentialFile": settings.service_credential_file,
    }
    made = [path for path in files.values() if not path.exists()]
    try:
        settings.var.mkdir(mode=0o700, parents=True, exist_ok=True)
        Vault.load(settings.master_key_file, create=True)
        service_credential.load("", settings.service_credential_file, create=True)
    except (VaultError, CredentialError, OSError) as error:
        raise CommandFailed(str(error)) from None
    if as_json:
        say_json({
            **{name: os.fspath(path) for name, path in files.items()},
            "made": list(map(os.fspath, made)),
        })
        return
    for path in files.values():
        say(_told(path, is_new=path in made))


def _told(path: Path, *, is_new: bool) -> str:
    return f"Made {path}; keep a copy in a safe place." if is_new else f"{path} is there already."
