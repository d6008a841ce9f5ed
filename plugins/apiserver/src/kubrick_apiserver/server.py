"""The component "apiserver": builds the server from its parts, bootstraps the cluster, listens, drains.

The parts are made when the kernel collects components, so that others can find them; the port is
opened before the bootstrap because the kubernetes Service names it, and served once that is done.
"""

import socket as stdlib_socket
from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import trio

from kubrick_api.catalog import Catalog
from kubrick_api.names import GVK, GVR
from kubrick_api.protobuf import Protobuf
from kubrick_apiserver.access import AccessControl
from kubrick_apiserver.audience import Audiences
from kubrick_apiserver.authentication import Authentication
from kubrick_apiserver.bootstrap import Address, Bootstrap, Reconcile, first_service_ip, system_objects
from kubrick_apiserver.exposition import Exposition, ServerMetrics, Sized, Stored
from kubrick_apiserver.filters import Filters, Restrictions
from kubrick_apiserver.health import Health, ping
from kubrick_apiserver.metrics import AdmissionMetrics, RequestMetrics
from kubrick_apiserver.paths import Paths
from kubrick_apiserver.refusal import Refusals
from kubrick_apiserver.settings import Settings
from kubrick_apiserver.web import Handler
from kubrick_client import RootCA
from kubrick_http.certificates import Certificates
from kubrick_http.connection import Limits
from kubrick_http.listener import HTTPServer, open_socket, split_address
from kubrick_http.pulse import Pulse
from kubrick_kernel import ConfigurationError

if TYPE_CHECKING:
    from kubrick_kernel import Kernel

ANY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104  # compared with, not bound to
DEFAULT_PORT = 6443
POST_START = (
    "start-system-namespaces-controller",
    "bootstrap-controller",
    "rbac/bootstrap-roles",
)
"""kube-apiserver's names for what the bootstrap does here."""


class APIServer:
    """REST over HTTPS, and in process."""

    name = "apiserver"
    requires: tuple[str, ...] = ("bus", "rbac?", "machine?")

    def __init__(
        self,
        kernel: "Kernel",
        catalog: Catalog,
        control: AccessControl,
        authentication: Authentication,
        resources: Handler,
        audiences: Audiences,
    ) -> None:
        self._kernel = kernel
        self._catalog = catalog
        self._audiences = audiences
        self._settings: Settings = kernel.settings("apiserver")
        self._service_ip = _service_ip(self._settings.service_cluster_ip_range)
        self._bootstrapped = False
        self.health = Health()
        metrics = RequestMetrics(self._known)
        exposition = Exposition(self._collectors)
        paths = Paths(resources, self.health, exposition, self._group_paths, self._further_paths())
        self.filters = Filters(
            paths,
            authentication,
            control,
            metrics,
            Restrictions(
                self._settings.max_requests_inflight,
                self._settings.max_mutating_requests_inflight,
                self._settings.request_timeout,
                self._settings.request_log,
            ),
            kernel.random.getrandbits(80),
            Refusals(Protobuf(catalog)),
            kernel.plugins.hook.kubrick_register_flow_control(kernel=kernel),
        )
        self.metrics = ServerMetrics(
            metrics,
            self.health,
            lambda: self.filters.in_flight,
            self._stored,
            self._size,
            kernel.find(AdmissionMetrics),
        )
        self._add_checks()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Ready when everything that must exist does, and the port is served."""
        settings = self._settings
        self.health.draining = False
        if not settings.listen:
            await self._bootstrap("127.0.0.1", DEFAULT_PORT)
            task_status.started()
            await trio.sleep_forever()
        with ExitStack() as stack:
            sockets = [stack.enter_context(open_socket(settings.listen))]
            host, port = split_address(settings.listen)[0], sockets[0].getsockname()[1]
            for further in settings.further_hosts if host not in ANY_ADDRESS else ():
                shown = f"[{further}]" if ":" in further else further
                sockets.append(stack.enter_context(open_socket(f"{shown}:{port}")))
            context = self._make_context(host, port)
            await self._bootstrap(self._advertised(host), port)
            limits = Limits(max_body=settings.max_request_bytes)
            clock = self._kernel.clock
            servers = [HTTPServer(socket, self.filters, Pulse(clock), limits, context) for socket in sockets]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._audiences.run)
                for server in servers:
                    nursery.start_soon(server.run, settings.drain_timeout)
                task_status.started()
                try:
                    await trio.sleep_forever()
                finally:
                    self.health.draining = True
                    for server in servers:
                        server.stop()

    def _make_context(self, host: str, port: int) -> Any:
        """Certificates, the kubeconfig and the TLS settings that go with them."""
        from kubrick_apiserver import pki, tls

        kernel = self._kernel
        if kernel.data_dir is None:
            raise ConfigurationError("apiserver: a listening server needs a data directory; name one with --data-dir")
        shown = "127.0.0.1" if host in ANY_ADDRESS else host
        url = f"https://[{shown}]:{port}" if ":" in shown else f"https://{shown}:{port}"
        names = self._certificate_names(shown)
        made = pki.ensure(kernel.data_dir, names, url, kernel.clock.now(), kernel.composition.name)
        if not kernel.has(RootCA):
            kernel.offer(RootCA, RootCA(made.ca_pem))
        if not kernel.has(Certificates):
            kernel.offer(Certificates, tls.Authority(made, kernel.clock.now))
        kernel.announcements["kubeconfig"] = str(made.kubeconfig)
        kernel.announcements["server"] = url
        return tls.server_context(made)

    def _certificate_names(self, shown: str) -> set[str]:
        service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
        names = {"127.0.0.1", "localhost", *service, self._service_ip, shown, self._advertised(shown)}
        chosen = self._settings
        return names | {stdlib_socket.gethostname(), *chosen.certificate_names, *chosen.further_hosts}

    def _advertised(self, host: str) -> str:
        return self._settings.advertise_address or (own_address() if host in ANY_ADDRESS else host)

    async def _bootstrap(self, host: str, port: int) -> None:
        kernel = self._kernel
        hook = kernel.plugins.hook
        reconcilers: dict[GVK, Reconcile] = {}
        for answer in hook.kubrick_register_bootstrap_reconcilers(kernel=kernel):
            reconcilers |= answer
        objects = list(system_objects(Address(host, port, self._settings.service_cluster_ip_range)))
        for answer in hook.kubrick_register_bootstrap_objects(kernel=kernel):
            objects += answer
        await Bootstrap(kernel, self._catalog, reconcilers).write(objects)
        self._bootstrapped = True

    def _add_checks(self) -> None:
        health = self.health
        health.add("ping", ping)
        for answer in self._kernel.plugins.hook.kubrick_register_health_checks(kernel=self._kernel):
            for name, check in answer:
                health.add(name, check)
        for name in POST_START:
            health.add(f"poststarthook/{name}", self._is_bootstrapped)
        health.add("shutdown", health.not_shutting_down, ("readyz",))

    async def _is_bootstrapped(self) -> None:
        if not self._bootstrapped:
            raise RuntimeError("not finished")

    def _further_paths(self) -> dict[str, Handler]:
        """The paths of plugins. Raises ConfigurationError when two want the same."""
        found: dict[str, Handler] = {}
        for answer in self._kernel.plugins.hook.kubrick_register_paths(kernel=self._kernel):
            for path, handler in answer.items():
                if path in found:
                    raise ConfigurationError(f"two plugins answer the path {path}; disable one of them")
                found[path] = handler
        return found

    def _known(self, resource: GVR, subresource: str) -> bool:
        found = self._catalog.resource(resource)
        return found is not None and (not subresource or subresource in found.subresources)

    def _stored(self) -> Iterable[Stored]:
        for resource in self._catalog.resources():
            if resource.virtual is None and resource.stored_as is None:
                topic = self._kernel.bus.topic(resource.key_prefix)
                yield Stored(resource.gvr, len(topic), topic.events)

    def _size(self) -> int:
        store = self._kernel.store
        return store.size() if isinstance(store, Sized) else 0

    def _collectors(self) -> Iterable[Any]:
        for answer in self._kernel.plugins.hook.kubrick_register_collectors(kernel=self._kernel):
            yield from answer

    def _group_paths(self) -> Iterable[str]:
        yield from ("/api", "/apis")
        for group in self._catalog.groups():
            root = GVR(group.group, group.version, "").root
            yield root
            if group.group:
                yield f"/apis/{group.group}"


def _service_ip(service_range: str) -> str:
    try:
        return first_service_ip(service_range)
    except (ValueError, IndexError) as error:
        raise ConfigurationError(
            f"apiserver: service_cluster_ip_range is {service_range!r}; it must be a range such as 10.96.0.0/16"
        ) from error


def own_address() -> str:
    """The address this machine would speak from; nothing is sent to find out."""
    with stdlib_socket.socket(stdlib_socket.AF_INET, stdlib_socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
