"""REST over HTTPS: the API server.

Offers what the rest of the program needs of it: `kubrick_client.Connector`, `kubrick_api.storage.Reader`
and `Storage`, `kubrick_apiserver.access.AccessControl`, and `kubrick_client.RootCA` when it listens.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from kubrick_kernel.hookspecs import hookimpl

if TYPE_CHECKING:
    import click
    import pluggy

    from kubrick_kernel import Component, Kernel, Option


@hookimpl
def kubrick_add_hookspecs(manager: "pluggy.PluginManager") -> None:
    from kubrick_apiserver import hookspecs

    manager.add_hookspecs(hookspecs)


@hookimpl
def kubrick_register_settings() -> type:
    from kubrick_apiserver.settings import Settings

    return Settings


@hookimpl
def kubrick_register_commands() -> "Sequence[click.Command]":
    from kubrick_apiserver.command import kubeconfig

    return (kubeconfig,)


@hookimpl
def kubrick_register_checks(kernel: "Kernel") -> Sequence[str]:
    """Whether the listen address makes sense and is free."""
    from kubrick_http.listener import open_socket
    from kubrick_kernel import ConfigurationError

    listen = kernel.settings("apiserver").listen
    try:
        if listen:
            open_socket(listen).close()
    except ConfigurationError as error:
        return (str(error),)
    return ()


@hookimpl
def kubrick_register_options() -> "Sequence[Option]":
    from kubrick_kernel import Option

    return (
        Option("--listen", "apiserver", "listen", "HOST:PORT the API server listens on."),
        Option("--advertise-address", "apiserver", "advertise_address", "The address others reach the API server by."),
    )


@hookimpl(trylast=True)
def kubrick_register_components(kernel: "Kernel") -> "Sequence[Component]":
    """Builds the server and offers its parts; the catalog is there already."""
    from kubrick_api.catalog import Catalog
    from kubrick_api.storage import Reader, Storage
    from kubrick_api_authentication.contract import Authentication as TokenReviewer
    from kubrick_api_authorization.contract import Authorization
    from kubrick_apiserver.access import AccessControl
    from kubrick_apiserver.authentication import Authentication
    from kubrick_apiserver.chain import AdmissionChain
    from kubrick_apiserver.connector import InProcessConnector
    from kubrick_apiserver.handler import ResourceHandler
    from kubrick_apiserver.registry import Registry
    from kubrick_apiserver.removal import NAMESPACES
    from kubrick_apiserver.reviews import AccessReviews, TokenReviews
    from kubrick_apiserver.server import APIServer
    from kubrick_apiserver.upkeep import Upkeep
    from kubrick_client import Connector
    from kubrick_kernel import ConfigurationError

    catalog = kernel.find(Catalog)
    if catalog.resource(NAMESPACES) is None:
        raise ConfigurationError("apiserver: nothing works without plugin 'api-core'; don't disable it")
    control = AccessControl.collect(kernel)
    authentication = Authentication.collect(kernel)
    registry = Registry(kernel, catalog, kernel.bus, AdmissionChain.collect(kernel))
    kernel.offer(AccessControl, control)
    kernel.offer(Authentication, authentication)
    kernel.offer(Authorization, AccessReviews(control))
    kernel.offer(TokenReviewer, TokenReviews(authentication))
    kernel.offer(Reader, registry)
    kernel.offer(Storage, registry)
    kernel.offer(Connector, InProcessConnector(registry, control))
    handler = ResourceHandler(kernel, catalog, registry)
    server = APIServer(kernel, catalog, control, authentication, handler, registry.audiences)
    kernel.offer(APIServer, server)
    settings = kernel.settings("apiserver")
    return (server, Upkeep(kernel, settings.service_cluster_ip_range, settings.service_node_port_range))


@hookimpl
def kubrick_register_collectors(kernel: "Kernel") -> Sequence[Any]:
    from kubrick_apiserver.server import APIServer

    return (kernel.find(APIServer).metrics,)


@hookimpl
def kubrick_register_health_checks(kernel: "Kernel") -> "Sequence[tuple[str, Callable[[], Awaitable[None]]]]":
    async def store_answers() -> None:
        await kernel.store.get(b"health/check")

    # Clients and scripts know the store's check by kube-apiserver's names for it.
    return (("etcd", store_answers), ("etcd-readiness", store_answers))
