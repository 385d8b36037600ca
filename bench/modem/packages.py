"""Debian packages that are unpacked into a folder and not installed: so nothing that they bring starts by itself."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path("var/bench/modem-peers")
PACKAGES = (
    "gammu-smsd",
    "libgammu8",
    "libgsmsd8",
    "libdbi1",
    "libodbc2",
    "libltdl7",
    "libmariadb3",
    "libbluetooth3",
    "libusb-1.0-0",
    "smstools",
    "libmm14",
)
GAMMU = "usr/bin/gammu-smsd"
SMSTOOLS = "usr/sbin/smsd"


def unpack() -> None:
    """Fetch and unpack what is not there yet. Raises SystemExit where there is no apt or it does not know one."""
    root = FOLDER.absolute() / "root"
    if (root / GAMMU).exists() and (root / SMSTOOLS).exists():
        return
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise SystemExit("This needs Debian's apt-get and dpkg-deb, to fetch gammu-smsd and smstools.")
    archives = FOLDER.absolute() / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["apt-get", "download", *PACKAGES], cwd=archives, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"apt-get download failed; does apt-get update help?\n{done.stderr}")
    for archive in sorted(archives.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(archive), str(root)], check=True)


def program(path: str) -> Path:
    """A program of theirs."""
    return FOLDER.absolute() / "root" / path


def environment() -> Mapping[str, str]:
    """What they need in their environment to find their libraries."""
    library = FOLDER.absolute() / "root/usr/lib"
    folders = [*library.glob("*-linux-gnu"), library]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, folders))}


def version(path: str, option: str) -> str:
    """What a program says of its version."""
    done = subprocess.run(
        [program(path), option], env=dict(environment()), capture_output=True, text=True, check=False
    )
    found = re.search(r"[Vv]ersion (\d[\d.]*\d)", done.stdout + done.stderr)
    return found[1] if found else "unknown"
