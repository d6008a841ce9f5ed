"""Leader election by a Lease: of several like processes, one acts.

The rules are client-go's: a candidate takes the lease when nobody holds it or when it has not seen
it change for `duration` of its own time; the holder renews every `retry` seconds and steps down
when it could not renew for `deadline`. Because `deadline` is shorter than `duration`, a holder
stops before another may start, as long as clocks run at about the same speed.

Fencing: this keeps two leaders from acting at once only as far as their clocks' speed and their own
prompt stopping can be trusted. Writes that must never come from a former leader need a guard of
their own: a resourceVersion on the object written, or ``leaseTransitions`` (`LeaderElector.term`),
which grows with every change of holder.
"""

from collections.abc import Awaitable, Callable

import trio

from kubrick_api.errors import StatusError
from kubrick_api.names import GVR
from kubrick_api.resource import Object
from kubrick_client.client import Client
from kubrick_client.transport import Unreachable
from kubrick_kernel.clock import rfc3339_micro
from kubrick_kernel.log import get_logger

LEASES = GVR("coordination.k8s.io", "v1", "leases")
JITTER = 1.2
log = get_logger("client")


class LeaderElector:
    """One candidate. `identity` must be unique among candidates; `duration`, `deadline` and `retry` are
    seconds and must satisfy duration > deadline > 1.2 × retry."""

    def __init__(
        self,
        client: Client,
        name: str,
        namespace: str,
        identity: str,
        *,
        duration: float = 15.0,
        deadline: float = 10.0,
        retry: float = 2.0,
    ) -> None:
        if not duration > deadline > JITTER * retry:
            raise ValueError(
                f"lease duration {duration} must be longer than the renew deadline {deadline}, "
                f"and that longer than {JITTER} x the retry period {retry}"
            )
        self.client = client
        self.name = name
        self.namespace = namespace
        self.identity = identity
        self.duration = duration
        self.deadline = deadline
        self.retry = retry
        self.leading = False
        self.term = 0
        self._observed: Object | None = None
        self._observed_at = 0.0

    @property
    def holder(self) -> str:
        """Who led when last seen; "" for nobody."""
        spec = self._observed.get("spec", {}) if self._observed else {}
        return str(spec.get("holderIdentity") or "")

    async def run(self, lead: Callable[[], Awaitable[object]]) -> None:
        """Wait to become the leader, then run `lead` until it returns (the lease is released, and so when
        cancelled), or cancel it when leadership is lost, and begin again."""
        while True:
            await self._acquire()
            log.info("became the leader", identity=self.identity, lease=f"{self.namespace}/{self.name}")
            finished = False
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._hold, nursery.cancel_scope)
                    await lead()
                    finished = True
                    nursery.cancel_scope.cancel()
            finally:
                if self.leading:
                    await self._release()
            if finished:
                return
            log.warning("lost the lease", identity=self.identity, lease=f"{self.namespace}/{self.name}")

    async def _acquire(self) -> None:
        while not await self._try():  # noqa: ASYNC110 -- what is waited for happens elsewhere
            await trio.sleep(self.retry * (1 + (JITTER - 1) * self.client.generator.random()))
        self.leading = True

    async def _hold(self, scope: trio.CancelScope) -> None:
        """Renew until that fails for too long, then cancel what leads."""
        renewed = trio.current_time()
        while True:
            await trio.sleep(self.retry)
            with trio.move_on_at(renewed + self.deadline):
                if await self._try():
                    renewed = trio.current_time()
            if self.holder not in ("", self.identity) or trio.current_time() >= renewed + self.deadline:
                self.leading = False
                scope.cancel()
                return

    async def _try(self) -> bool:
        """Take or renew the lease; False when another holds it or the server can't be asked."""
        try:
            return await self._claim()
        except (StatusError, Unreachable) as error:
            log.debug("no lease", lease=f"{self.namespace}/{self.name}", error=str(error))
        return False

    async def _claim(self) -> bool:
        now = rfc3339_micro(self.client.clock.now())
        try:
            lease = await self.client.get(LEASES, self.name, self.namespace)
        except StatusError as error:
            if error.code != 404:
                raise
            spec = self._spec(now, now, 0)
            made = {
                "kind": "Lease",
                "apiVersion": LEASES.api_version,
                "metadata": {"name": self.name, "namespace": self.namespace},
                "spec": spec,
            }
            self._observe(await self.client.create(LEASES, made))
            self.term = 0
            return True
        if (
            self._observed is None
            or self._observed["metadata"]["resourceVersion"] != lease["metadata"]["resourceVersion"]
        ):
            self._observe(lease)
        spec = lease.get("spec") or {}
        held_by = spec.get("holderIdentity") or ""
        valid = trio.current_time() < self._observed_at + float(spec.get("leaseDurationSeconds") or self.duration)
        if held_by and held_by != self.identity and valid:
            return False
        term = int(spec.get("leaseTransitions") or 0)
        acquired = spec.get("acquireTime") or now
        if held_by != self.identity:
            term, acquired = term + 1, now
        self._observe(await self.client.update(LEASES, {**lease, "spec": self._spec(now, acquired, term)}))
        self.term = term
        return True

    def _spec(self, now: str, acquired: str, term: int) -> Object:
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": max(1, round(self.duration)),
            "acquireTime": acquired,
            "renewTime": now,
            "leaseTransitions": term,
        }

    def _observe(self, lease: Object) -> None:
        self._observed = lease
        self._observed_at = trio.current_time()

    async def _release(self) -> None:
        """Give the lease up so that the next candidate need not wait. Bounded, also when cancelled."""
        self.leading = False
        lease = self._observed
        if lease is None:
            return
        now = rfc3339_micro(self.client.clock.now())
        spec = {**self._spec(now, now, self.term), "holderIdentity": "", "leaseDurationSeconds": 1}
        with trio.move_on_after(self.retry, shield=True):
            try:
                await self.client.update(LEASES, {**lease, "spec": spec})
            except (StatusError, Unreachable) as error:
                log.debug("lease not released", lease=f"{self.namespace}/{self.name}", error=str(error))
