"""History kept for readers and watchers: five minutes of it, like kube-apiserver keeps in etcd."""

import trio

from kubrick_kernel.log import get_logger
from kubrick_kernel.store import Store, StoreError

log = get_logger("compactor")

INTERVAL = 300.0


class Compactor:
    """Every `interval` seconds, forgets what was history already at the time before: what was
    current less than `interval` ago can always be read, and never more than twice that is kept."""

    name = "compactor"
    requires = ("store",)

    def __init__(self, store: Store, interval: float = INTERVAL) -> None:
        self._store = store
        self._interval = interval

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        seen = self._store.revision
        while True:
            await trio.sleep(self._interval)
            if seen > self._store.compacted:
                try:
                    await self._store.compact(seen)
                except StoreError as error:
                    log.warning("compaction failed", revision=seen, error=str(error))
            seen = self._store.revision
