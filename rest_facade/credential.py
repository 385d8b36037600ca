"""The facade's own credential towards the core: from a setting, or from the file that the core writes.

Owns reading it. The file may appear after the facade has started and may change. While credentials are changed the
core takes several, a line each; the facade shows the first.
"""

from pathlib import Path

from rest_facade.config import Settings

CREDENTIAL_BYTES_MAX = 4_096


class ServiceCredential:
    """The credential as it is now; `refresh` after the core refused it."""

    def __init__(self, settings: Settings) -> None:
        self._file: Path | None = (
            None if settings.service_credential.get_secret_value() else settings.credential_file
        )
        self._value: str = _first_line(settings.service_credential.get_secret_value())
        self.refresh()

    @property
    def value(self) -> str:
        """The credential; empty while there is none."""
        if not self._value:
            self.refresh()
        return self._value

    def refresh(self) -> bool:
        """Read the file again, a few hundred bytes on a local disk; answers whether the credential changed."""
        if self._file is None:
            return False
        try:
            with self._file.open(encoding="utf-8") as file:
                fresh = _first_line(file.read(CREDENTIAL_BYTES_MAX))
        except (OSError, UnicodeDecodeError):
            return False
        changed = fresh != self._value
        self._value = fresh
        return changed


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].strip()
