"""How a setting is declared: help, default, unit and limits in one place. Knows no setting."""

from collections.abc import Callable
from typing import Any

from pydantic import Field


def setting(help_text: str, default: Any, *, unit: str = "", **limits: Any) -> Any:
    """A setting with a fixed default."""
    return Field(default=default, description=help_text, json_schema_extra={"unit": unit}, **limits)


def derived(
    help_text: str, derive: Callable[[dict[str, Any]], Any], *, words: str, unit: str = "", **limits: Any
) -> Any:
    """A setting whose default follows from settings declared above it; `words` tell how."""
    extra: dict[str, Any] = {"unit": unit, "default": words}
    return Field(default_factory=derive, description=help_text, json_schema_extra=extra, **limits)
