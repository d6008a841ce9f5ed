"""What a controller wrote itself and its informer does not show yet.

An informer lags behind the controller's own writes. A controller that plans from its informer alone
plans on sizes it has already changed, and its next write fails as stale. This keeps the answers to its
writes until the informer has caught up (resourceVersions grow), or for half a minute at most.
"""

from typing import Any

import trio
from attrs import define

Object = dict[str, Any]
KEPT = 30.0


@define
class Written:
    obj: Object
    revision: int
    until: float


class OwnWrites:
    """The answers to a controller's writes of one resource, by uid."""

    def __init__(self) -> None:
        self._written: dict[str, Written] = {}

    def note(self, obj: Object) -> Object:
        """Remember what a create or update answered. Returns it."""
        metadata = obj["metadata"]
        until = trio.current_time() + KEPT
        self._written[metadata["uid"]] = Written(obj, int(metadata["resourceVersion"]), until)
        return obj

    def newest(self, obj: Object) -> Object:
        """`obj` as the informer has it, or as it was last written if that is newer."""
        metadata = obj["metadata"]
        written = self._written.get(metadata["uid"])
        if written is None:
            return obj
        if int(metadata["resourceVersion"]) >= written.revision:
            del self._written[metadata["uid"]]
            return obj
        return written.obj

    def unseen(self, owner: str, seen: list[Object]) -> list[Object]:
        """Objects it created for the controller `owner` (a uid) that are not among `seen`."""
        if not self._written:
            return []
        now = trio.current_time()
        for uid in [uid for uid, written in self._written.items() if written.until < now]:
            del self._written[uid]
        known = {obj["metadata"]["uid"] for obj in seen}
        return [
            written.obj
            for uid, written in self._written.items()
            if uid not in known
            and any(
                reference["uid"] == owner and reference.get("controller")
                for reference in written.obj["metadata"].get("ownerReferences") or ()
            )
        ]

    def forget(self, obj: Object) -> None:
        """The object is gone."""
        self._written.pop(obj["metadata"]["uid"], None)
