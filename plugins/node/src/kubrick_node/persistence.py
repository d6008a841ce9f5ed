"""What is tried again when the API server refuses or doesn't answer."""

from collections.abc import Awaitable, Callable

import trio

from kubrick_api.errors import StatusError
from kubrick_client import Unreachable
from kubrick_kernel import get_logger

log = get_logger("node")

RETRY_SECONDS = 1.0
TROUBLE = (StatusError, Unreachable)


async def until_done(node: str, act: Callable[[], Awaitable[object]]) -> None:
    """Try `act` until it works."""
    while True:
        try:
            await act()
        except TROUBLE as trouble:
            log.warning("will try again", node=node, error=str(trouble))
            await trio.sleep(RETRY_SECONDS)
        else:
            return
