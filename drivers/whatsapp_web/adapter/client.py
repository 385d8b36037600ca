"""One account through neonize 0.5, which runs whatsmeow (Go) in threads of its own.

Owns the library's ways: its callbacks come from foreign threads, its log holds numbers, and it may only be asked while
it is open. Everything that decides is elsewhere.
"""

import asyncio
import concurrent.futures
import contextlib
import ctypes
import logging
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("NEONIZE_BOT_TAG", "off")
"""Without it neonize marks every message as a bot's. Read when the library is loaded."""

from neonize import _binder
from neonize.aioze.client import NewAClient
from neonize.events import EVENT_TO_INT, INT_TO_EVENT
from neonize.exc import NeonizeError
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message as Content
