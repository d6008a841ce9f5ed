"""CRI's methods by name, and what their failures mean for whoever asked."""

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

from kubrick_kernel import get_logger
from kubrick_node import RuntimeFailure
from kubrick_runtime_cri.channel import NOT_FOUND, Call, Channel, RPCError
from kubrick_runtime_cri.messages import CRI, Messages

log = get_logger("runtime-cri")

CALL_SECONDS = 120.0
"""The kubelet's runtimeRequestTimeout."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0


class Calls:
    """`await calls("ListContainers", filter={...})`: fields are given as (nested) plain values."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def __call__(self, name: str, timeout: float = CALL_SECONDS, /, **fields: Any) -> Any:
        """The response. Raises RPCError."""
        method = CRI.method(name)
        return await self._channel.call(method, method.request(**fields), timeout)

    @asynccontextmanager
    async def stream(self, name: str, messages: Messages = CRI) -> AsyncIterator[Call]:
        method = messages.method(name)
        async with self._channel.stream(method, method.request(), math.inf) as call:
            yield call

    async def asked(self, reason: str, name: str, timeout: float = CALL_SECONDS, /, **fields: Any) -> Any:
        """The same, for what may fail: raises RuntimeFailure with `reason`."""
        try:
            return await self(name, timeout, **fields)
        except RPCError as error:
            raise RuntimeFailure(reason, error.message) from None

    async def needed(self, name: str, timeout: float = CALL_SECONDS, /, **fields: Any) -> Any:
        """The same, for what has to be: tried until it works, for as long as the runtime is away. None if
        what it is about is gone."""
        return await insist(lambda: self(name, timeout, **fields), name)


async def insist(act: Callable[[], Awaitable[Any]], what: str) -> Any:
    pause = FIRST_PAUSE
    while True:
        try:
            return await act()
        except RPCError as error:
            if error.code == NOT_FOUND:
                return None
            if pause > 1:
                log.warning("the runtime does not do what it has to", call=what, error=str(error))
            await trio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
