"""A watch by WebSocket: every event a text message of its own, the same bytes as in the chunked form."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio

from kubrick_apiserver.web import Response, Stream, Upgrade
from kubrick_http.response import ByteStream, TakeOver
from kubrick_http.websocket import GONE, WebSocket, accept


def watched(headers: Mapping[str, str], opening: AbstractAsyncContextManager[Stream]) -> Response:
    """The answer to a request that `is_websocket`. Raises StatusError 400."""
    return Response(101, body=Upgrade(_upgrade(opening)), headers=accept(headers, None))


@asynccontextmanager
async def _upgrade(opening: AbstractAsyncContextManager[Stream]) -> AsyncIterator[TakeOver]:
    async with opening as stream:

        async def serve(raw: ByteStream) -> None:
            socket = WebSocket(raw)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_listen, socket, nursery.cancel_scope)
                try:
                    while piece := await stream.next():
                        for event in piece.splitlines():
                            await socket.send_text(event.decode())
                except GONE:
                    pass
                nursery.cancel_scope.cancel()
            await socket.close()

        yield serve


async def _listen(socket: WebSocket, scope: trio.CancelScope) -> None:
    """A watcher has nothing to say but goodbye."""
    while await socket.receive() is not None:
        pass
    scope.cancel()
