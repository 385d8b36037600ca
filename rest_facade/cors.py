"""Which browsers may call: none, unless a setting names their origins.

Owns the CORS headers (Fetch standard). Must not know routes.
"""

METHODS = "GET, POST, PATCH, DELETE"
HEADERS = "X-API-Key, Authorization, Content-Type, X-Request-Id, traceparent"
EXPOSED = (
    "X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, X-RateLimit-Limit, X-RateLimit-Remaining, "
    "X-RateLimit-Reset"
)
PREFLIGHT_S = 600

Headers = tuple[tuple[str, str], ...]


class Cors:
    """The origins that may call."""

    def __init__(self, origins: tuple[str, ...]) -> None:
        self._origins = frozenset(origins)

    @property
    def is_on(self) -> bool:
        """Whether any origin may call."""
        return bool(self._origins)

    def headers_for(self, origin: str | None) -> Headers:
        """What an answer tells a browser; caches must tell origins apart either way."""
        vary = (("vary", "Origin"),)
        if origin is None or origin not in self._origins:
            return vary
        return (*vary, ("access-control-allow-origin", origin), ("access-control-expose-headers", EXPOSED))

    def preflight_headers(self, origin: str | None) -> Headers:
        """What an answer to a preflight adds."""
        if origin is None or origin not in self._origins:
            return ()
        return (
            ("access-control-allow-methods", METHODS),
            ("access-control-allow-headers", HEADERS),
            ("access-control-max-age", str(PREFLIGHT_S)),
        )
