"""Tokens of pods' service accounts, asked for by TokenRequest and renewed at 80 % of their life (or after a day)."""

from datetime import datetime
from typing import Any

import trio
from attrs import frozen

from kubrick_api.errors import StatusError
from kubrick_api_core import SERVICE_ACCOUNTS
from kubrick_client import Client, Unreachable
from kubrick_kernel import Clock
from kubrick_node.volumes import VolumeFailure

Object = dict[str, Any]
Key = tuple[str, str, int]

LIFE_USED = 0.8
LONGEST = 24 * 3600.0
RETRY_SECONDS = 30.0


@frozen
class _Token:
    text: str
    refresh_at: float
    ends_at: float


class Tokens:
    """By pod, audience and life. Times are trio's."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._tokens: dict[Key, _Token] = {}

    async def token(self, pod: Object, audience: str, seconds: int) -> tuple[str, float]:
        """The token, and when to ask again. One that can't be renewed is used until it ends."""
        key = (pod["metadata"]["uid"], audience, seconds)
        known = self._tokens.get(key)
        now = trio.current_time()
        if known is None or now >= known.refresh_at:
            try:
                known = self._tokens[key] = await self._ask(pod, audience, seconds)
            except (StatusError, Unreachable) as error:
                if known is None or now >= known.ends_at:
                    raise VolumeFailure(f"failed to fetch token: {error}") from None
                return known.text, now + RETRY_SECONDS
        return known.text, known.refresh_at

    async def _ask(self, pod: Object, audience: str, seconds: int) -> _Token:
        metadata = pod["metadata"]
        name = pod["spec"].get("serviceAccountName") or "default"
        bound = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
        request: Object = {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "spec": {
                "audiences": [audience] if audience else [],
                "expirationSeconds": seconds,
                "boundObjectRef": bound,
            },
        }
        now = trio.current_time()
        answer = await self._client.create(
            SERVICE_ACCOUNTS, request, metadata["namespace"], subresource="token", name=name
        )
        end = datetime.fromisoformat(answer["status"]["expirationTimestamp"])
        life = end.timestamp() - self._clock.timestamp()
        return _Token(answer["status"]["token"], now + min(life * LIFE_USED, LONGEST), now + life)

    def forget(self, uid: str) -> None:
        for key in [key for key in self._tokens if key[0] == uid]:
            del self._tokens[key]
