"""The component "dns": keeps the records as the API has them and serves them."""

from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from kubrick_api_core import NAMESPACES, SERVICES
from kubrick_api_discovery import ENDPOINT_SLICES
from kubrick_client import Informer, connect
from kubrick_dns.forward import Forwarder, servers
from kubrick_dns.records import Records
from kubrick_dns.server import Server
from kubrick_dns.settings import Settings
from kubrick_kernel import ConfigurationError

if TYPE_CHECKING:
    from kubrick_kernel import Kernel

USER = "system:serviceaccount:kube-system:coredns"


class ClusterDNS:
    """See the module. `addresses` are where it listens, once it is ready."""

    name = "dns"
    requires: tuple[str, ...] = ("machine?", "apiserver?")

    def __init__(self, kernel: "Kernel") -> None:
        self._kernel = kernel
        self._settings: Settings = kernel.settings("dns")
        self.addresses: list[tuple[str, int]] = []
        self.records = Records(self._settings.domain)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Ready when all services are known and every address is served."""
        upstreams = servers(self._settings.upstream) if self._settings.upstream else []
        forwarder = Forwarder(upstreams) if upstreams else None
        clock = self._kernel.clock
        server = Server(
            self.records, forwarder, self._settings.ttl, lambda: int(clock.timestamp()), self._kernel.random
        )
        async with trio.open_nursery() as nursery:
            await self._learn(nursery)
            self.addresses = []
            for text in self._settings.listen.split(","):
                await self._listen(nursery, server, text.strip())
            task_status.started()

    async def _learn(self, nursery: trio.Nursery) -> None:
        client = connect(self._kernel, USER)
        records = self.records
        informers: list[tuple[Any, Any, Any]] = [
            (NAMESPACES, records.put_namespace, records.drop_namespace),
            (SERVICES, records.put_service, records.drop_service),
            (ENDPOINT_SLICES, records.put_slice, records.drop_slice),
        ]
        for resource, put, drop in informers:
            informer = Informer(client, resource)
            informer.add_handler(added=put, updated=partial(_second, put), deleted=drop)
            await nursery.start(informer.run)

    async def _listen(self, nursery: trio.Nursery, server: Server, text: str) -> None:
        host, _, port = text.rpartition(":")
        host = host.strip("[]")
        if not host or not port.isdigit():
            raise ConfigurationError(f"[plugins.dns] listen: {text!r} is not HOST:PORT")
        family = trio.socket.AF_INET6 if ":" in host else trio.socket.AF_INET
        udp = trio.socket.socket(family, trio.socket.SOCK_DGRAM)
        tcp = trio.socket.socket(family, trio.socket.SOCK_STREAM)
        try:
            tcp.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEADDR, 1)
            await tcp.bind((host, int(port)))
            tcp.listen(128)
            number = tcp.getsockname()[1]
            await udp.bind((host, number))
        except OSError as error:
            udp.close()
            tcp.close()
            raise ConfigurationError(
                f"[plugins.dns] can't listen on {text}: {error.strerror}; name another address in listen"
            ) from None
        self.addresses.append((host, number))
        nursery.start_soon(self._serve_udp, server, udp)
        nursery.start_soon(partial(trio.serve_listeners, server.serve_stream, [trio.SocketListener(tcp)]))

    async def _serve_udp(self, server: Server, socket: trio.socket.SocketType) -> None:
        with socket:
            await server.serve_udp(socket)


def _second(put: Any, old: Any, new: Any) -> None:
    put(new)
