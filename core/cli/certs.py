"""`infinireach certs`: certificates for the parts of one gateway and for drivers.

Owns which files there are, in the folder `certs` of the data folder, and what each is for. How a certificate is
made is in core.certificates.
"""

import contextlib
import datetime
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography import x509
from sqlalchemy.orm import Session

from core import accounts
from core.api.forwarded_certificate import driver_uri
from core.certificates import (
    AUTHORITY_NAME,
    CLIENT,
    SERVER,
    Authority,
    CertificateFilesUnusable,
    Pair,
    Subject,
    alternative_names,
    certificates,
    issued,
    read,
)
from core.cli import tenants
from core.cli.context import settings_or_exit, transact
from core.cli.options import AsJson, TenantOption
from core.cli.output import CommandFailed, note, say, say_json, table
from core.cli.run_file import write_private
from core.clock import SystemClock
from core.config import Settings
from core.store.rows import DriverTokenRow

app = typer.Typer(
    no_args_is_help=True, help="Certificates for TLS between the parts of a gateway, and for drivers."
)

FOLDER_NAME = "certs"
AUTHORITY = "ca"
_HERE = (
    x509.DNSName("localhost"),
    x509.IPAddress(ip_address("127.0.0.1")),
    x509.IPAddress(ip_address("::1")),
)
SUBJECTS = {
    "edge": Subject("infinireach-edge", _HERE, (SERVER,)),
    "core": Subject("infinireach-core", (*_HERE, x509.DNSName("core")), (SERVER, CLIENT)),
    "client": Subject("infinireach-internal", (x509.DNSName("infinireach-internal"),), (CLIENT,)),
}
"""By file name: Envoy's listeners; the core's listeners; what facades and Envoy show to the internal listener."""
READABLE = 0o644
_HOST_BYTES_MAX = 253
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Files:
    """The two files of a certificate."""

    cert: Path
    key: Path

    @classmethod
    def of(cls, settings: Settings, name: str) -> "Files":
        """Where the certificate with this name lies."""
        folder = settings.var / FOLDER_NAME
        return cls(folder / f"{name}.pem", folder / f"{name}.key")

    def write(self, pair: Pair) -> None:
        """Replace both; the key can be read by its owner only."""
        write_private(self.cert, pair.certificate.decode())
        self.cert.chmod(READABLE)
        write_private(self.key, pair.key.decode())


@app.command(
    "init",
    epilog="Example: infinireach certs init --core-name core-1 --core-name core-2 --edge-name edge.example.com",
)
def init(
    *,
    core_name: Annotated[
        list[str] | None,
        typer.Option(
            help="Host name or address under which facades, Envoy and drivers reach a core; repeatable."
        ),
    ] = None,
    edge_name: Annotated[
        list[str] | None,
        typer.Option(help="Host name or address under which Envoy is reached; repeatable."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Make a new authority; nothing that the old one issued is trusted any more."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make an authority for this gateway and the certificates of its parts, where they are missing or end soon.

    A certificate that is made anew keeps the names that it has. What another authority issued is left as it is.
    For a desk and for one installation; a PKI of your own serves as well, see docs/tls.md.
    """
    settings, now = settings_or_exit(), _now()
    names = {"core": _hosts(core_name or []), "edge": _hosts(edge_name or [])}
    made: list[Path] = []
    left: dict[Path, str] = {}
    try:
        (settings.var / FOLDER_NAME).mkdir(mode=0o700, parents=True, exist_ok=True)
        issuers = _issuers(settings)  # also the one that --force replaces
        authority = _own_authority(settings, now, made, force=force)
        for name, subject in SUBJECTS.items():
            files = Files.of(settings, name)
            try:
                present = issued(files.cert, files.key, [authority.certificate, *issuers])
            except CertificateFilesUnusable as unusable:
                left[files.cert] = str(unusable)
                continue
            wanted = _extended(subject, present, names.get(name, []))
            if not authority.is_current(files.cert, files.key, wanted, now):
                files.write(authority.issue(wanted, now))
                made.append(files.cert)
    except OSError as error:
        raise CommandFailed(f"{settings.var / FOLDER_NAME}: {error.strerror}") from None
    if as_json:
        say_json({
            "folder": str(settings.var / FOLDER_NAME),
            "made": [str(path) for path in made],
            "left": [str(path) for path in left],
        })
        return
    for name in (AUTHORITY, *SUBJECTS):
        path = Files.of(settings, name).cert
        if path in left:
            say(f"{left[path]}. Left as it is; move it and its key away to have them made here.")
        else:
            say(f"Made {path}." if path in made else f"{path} is there already.")


@app.command("driver", epilog="Example: infinireach certs driver office-modem --tenant acme")
def driver(
    name: Annotated[str, typer.Argument(help="Name of the files, and of the driver token in lists.")],
    *,
    tenant: TenantOption = "",
    token_id: Annotated[
        str, typer.Option(help="Certificate for this driver token; empty: for a new one.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Make a driver's certificate. It stands for a driver token: revoking that revokes the certificate."""
    if not _NAME.fullmatch(name) or name in {AUTHORITY, *SUBJECTS}:
        raise CommandFailed(
            f"{name!r} cannot name a driver's files: a-z, 0-9, dot, dash and underscore, and no other use."
        )
    settings, now = settings_or_exit(), _now()
    authority, files = _authority(settings, now), Files.of(settings, name)
    _check_replaceable(files, token_id)
    row = transact(settings, _token, tenant, name, token_id)
    files.write(authority.issue(_driver(name, row.id), now))
    if as_json:
        say_json({
            "tokenId": row.id,
            "tenantId": row.tenant_id,
            "certFile": str(files.cert),
            "keyFile": str(files.key),
        })
        return
    say(f"Made {files.cert} and {files.key}; they stand for the driver token {row.id}.")
    note("A driver takes them from INFINIREACH_DRIVER_CERT_FILE and INFINIREACH_DRIVER_KEY_FILE.")


def is_current(settings: Settings, name: str, token_id: str) -> bool:
    """Whether the driver's files are what `driver` makes for this token, for some time yet. Raises CommandFailed."""
    files, now = Files.of(settings, name), _now()
    return _authority(settings, now).is_current(files.cert, files.key, _driver(name, token_id), now)


@app.command("show")
def show(*, as_json: AsJson = False) -> None:
    """List the certificates of the folder: whose they are, by which names, and until when."""
    settings = settings_or_exit()
    rows = [_described(path, cert) for path, cert in _in_folder(settings.var / FOLDER_NAME)]
    if as_json:
        say_json({"certificates": rows})
        return
    table(
        ["FILE", "SUBJECT", "NAMES", "EXPIRES"],
        [[row["file"], row["subject"], ", ".join(row["names"]), row["expiresAt"]] for row in rows],
        none="There is no certificate yet. Make them: infinireach certs init",
    )


def _own_authority(settings: Settings, now: datetime.datetime, made: list[Path], *, force: bool) -> Authority:
    files = Files.of(settings, AUTHORITY)
    if not force and (files.cert.exists() or files.key.exists()):
        return _authority(settings, now)
    authority = Authority.new(now)
    files.write(authority.pair())
    made.append(files.cert)
    return authority


def _authority(settings: Settings, now: datetime.datetime) -> Authority:
    files = Files.of(settings, AUTHORITY)
    if not files.cert.exists() and not files.key.exists():
        raise CommandFailed("There is no authority yet. Make it: infinireach certs init")
    try:
        return Authority.read(files.cert, files.key, now)
    except CertificateFilesUnusable as unusable:
        raise CommandFailed(
            f"{unusable}. Put the authority's files back, or make a new one, which ends the trust in all that it "
            "issued: infinireach certs init --force"
        ) from None


def _issuers(settings: Settings) -> list[x509.Certificate]:
    """The authorities in the authority's file that this command made; none if there is no such file."""
    path = Files.of(settings, AUTHORITY).cert
    with contextlib.suppress(CertificateFilesUnusable):
        return [cert for cert in certificates(read(path), path) if _is_ours(cert.subject)]
    return []


def _is_ours(name: x509.Name) -> bool:
    """Whether this is the name of an authority that this command made, here or elsewhere."""
    return name.rfc4514_string() == f"CN={AUTHORITY_NAME}"


def _extended(
    subject: Subject, present: x509.Certificate | None, names: Sequence[x509.GeneralName]
) -> Subject:
    """The subject with the names that its certificate has, and with further ones."""
    kept = alternative_names(present) if present is not None else []
    return replace(subject, names=tuple(dict.fromkeys((*subject.names, *kept, *names))))


def _hosts(words: Sequence[str]) -> list[x509.GeneralName]:
    """Host names and addresses as a certificate has them. Raises CommandFailed."""
    return [_host(word) for word in words]


def _host(word: str) -> x509.GeneralName:
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ip_address(word))
    if len(word) > _HOST_BYTES_MAX or not _HOST.fullmatch(word.lower()):
        raise CommandFailed(f"{word!r} is neither a host name nor an address.")
    return x509.DNSName(word.lower())


def _driver(name: str, token_id: str) -> Subject:
    return Subject(name, (x509.UniformResourceIdentifier(driver_uri(token_id)),), (CLIENT,))


def _check_replaceable(files: Files, token_id: str) -> None:
    """Raise CommandFailed if the files are another driver's, or of another authority."""
    if not os.path.lexists(files.cert):
        if os.path.lexists(files.key):
            raise CommandFailed(f"{files.key} is there already, without a certificate. Move it away.")
        return
    found = [cert for _, cert in _read_file(files.cert)]
    if not _is_ours(found[0].issuer):
        raise CommandFailed(f"{files.cert} was issued by another authority. Move it and its key away.")
    names = [name.value for cert in found for name in alternative_names(cert)]
    if not token_id or driver_uri(token_id) not in names:
        raise CommandFailed(
            f"{files.cert} is there already. To renew it, give the id of its driver token with --token-id; "
            "infinireach certs show tells it."
        )


def _token(session: Session, tenant: str, name: str, token_id: str) -> DriverTokenRow:
    tenant_id = tenants.chosen(session, tenant).id
    if not token_id:  # the token itself is shown to nobody: only the certificate opens a stream
        return accounts.create_driver_token(session, tenant_id, name, SystemClock().now_ms())[0]
    for row in accounts.list_driver_tokens(session, tenant_id):
        if row.id == token_id:
            return row
    raise CommandFailed(f"The tenant has no live driver token {token_id}.")


def _in_folder(folder: Path) -> Iterator[tuple[Path, x509.Certificate]]:
    for path in sorted(folder.glob("*.pem")):
        yield from _read_file(path)


def _read_file(path: Path) -> Iterator[tuple[Path, x509.Certificate]]:
    try:
        yield from ((path, cert) for cert in certificates(read(path), path))
    except CertificateFilesUnusable as unusable:
        raise CommandFailed(f"{unusable}.") from None


def _described(path: Path, cert: x509.Certificate) -> dict[str, Any]:
    return {
        "file": str(path),
        "subject": cert.subject.rfc4514_string(),
        "names": [str(name.value) for name in alternative_names(cert)],
        "expiresAt": cert.not_valid_after_utc.isoformat().replace("+00:00", "Z"),
    }


def _now() -> datetime.datetime:
    return datetime.datetime.fromtimestamp(SystemClock().now_ms() / 1000, datetime.UTC)
