"""The contract between token reviews and whoever authenticates: the API server offers it."""

from collections.abc import Sequence
from typing import Protocol

from kubrick_api.storage import UserInfo


class Authentication(Protocol):
    """Knows bearer tokens. Offered with ``kernel.offer(Authentication, ...)``."""

    async def review(self, token: str, audiences: Sequence[str]) -> tuple[UserInfo | None, Sequence[str]]:
        """Whose token this is, None if nobody's, and for which of `audiences` it was found good (empty
        `audiences`: the API server's own). Raises StatusError when the token is known not to hold."""
        ...
