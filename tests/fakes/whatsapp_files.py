"""The files of a driver of WhatsApp numbers that meets the fake Graph."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from drivers.whatsapp_cloud.fake_graph import FakeGraph

DEVICES = ("alpha", "beta")
TIMEOUT_S = 3
"""For which the driver waits for an answer of Graph's."""


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in one step."""
    beside = path.with_name(f".{path.name}")
    beside.write_text(f"{text}\n", encoding="utf-8")
    beside.chmod(0o600)
    os.replace(beside, path)


def whatsapp_toml(graph: FakeGraph, port: int, token_file: Path, secret_files: Sequence[Path]) -> str:
    """The file for the driver."""
    lines = ["[graph]", f"url = {json.dumps(graph.url)}", f"timeout_s = {TIMEOUT_S}"]
    lines += ["[webhook]", f"port = {port}", f"verify_token = {json.dumps(graph.credentials.verify_token)}"]
    for name, number, secret_file in zip(DEVICES, graph.numbers.values(), secret_files, strict=True):
        lines += [
            "[[number]]",
            f'name = "{name}"',
            f'number = "{number.number}"',
            f'phone_number_id = "{number.phone_number_id}"',
            f"token_file = {json.dumps(str(token_file))}",
            f"app_secret_file = {json.dumps(str(secret_file))}",
            f"groups = {json.dumps(name == DEVICES[1])}",
        ]
    return "\n".join(lines) + "\n"
