"""What the command line may say to a measurement."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Database = Literal["sqlite", "postgresql"]
DATABASES: tuple[str, ...] = get_args(Database)


@dataclass(frozen=True, slots=True)
class Options:
    """Of every measurement; each takes what it knows. None: its own default."""

    database: Database = "sqlite"
    kafka: bool = False
    """Events through Kafka instead of the embedded log."""
    run_json: Path | None = None
    """A gateway that runs already."""
    key: str = ""
    """The API key to use there; empty: that of its file."""
    seconds: int | None = None
    """How long to measure, each round."""
    rounds: int | None = None
    streams: int | None = None
    modems: int | None = None
