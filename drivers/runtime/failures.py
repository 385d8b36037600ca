"""How an exception of a driver looks in the log: where it came from, and nothing of what it says.

The words of an exception may hold numbers, texts or credentials; its type and its place cannot.
"""

import traceback

FRAMES_MAX = 5
"""The innermost frames that are shown."""


def describe(error: BaseException) -> dict[str, str]:
    """The error's type and its innermost places, for a log line."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return {"error": type(error).__qualname__, "where": " < ".join(reversed(places))}
