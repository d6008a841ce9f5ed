"""What has been found about pods' specs before: a cluster makes few kinds of pods, many times over.

Whether a spec is valid, and what to warn of, follows from the spec and the annotations alone, but for what
`shape` refuses. So a pod like one that was fine needs no second look. The pods of one Deployment differ in
the name of the volume with their token, which admission draws; it is made the same for all of them.
"""

import re
from typing import Any

from kubrick_api import codec
from kubrick_api.resource import Object

CAPACITY = 512
LARGEST = 16_384
TOKEN_VOLUME = re.compile(rb'"kube-api-access-[a-z0-9]{5}"')
EPHEMERAL, CLAIMS = b'"ephemeral":', b'"resourceClaims":'
"""What makes objects named after the pod: their names are checked together."""


def shape(pod: Object) -> bytes | None:
    """All that matters for a pod's validity beside its own name; None when that matters too."""
    data = codec.text((pod.get("spec"), (pod.get("metadata") or {}).get("annotations")))
    if len(data) > LARGEST or EPHEMERAL in data or CLAIMS in data:
        return None
    volume = TOKEN_VOLUME.search(data)
    # All of one name or none: a mount of another such volume is a mistake.
    return data if volume is None else data.replace(volume[0], b"\0")


class Memory:
    """Answers by shape. It forgets everything when it is full."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._known: dict[bytes, Any] = {}

    def get(self, key: bytes | None) -> Any:
        return None if key is None else self._known.get(key)

    def put(self, key: bytes | None, answer: Any) -> None:
        if key is None:
            return
        if len(self._known) >= self._capacity:
            self._known.clear()
        self._known[key] = answer
