"""REST over HTTPS: the API server.

Offers what the rest of the program needs of it: `kubrick_client.Connector`, `kubrick_api.storage.Reader`
and `Storage`, `kubrick_apiserver.access.AccessControl`, and `kubrick_client.RootCA` when it listens.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_kernel.hookspecs import hookimpl

if TYPE_CHECKING:
    import pluggy

    from kubrick_kernel import Option


@hookimpl
def kubrick_add_hookspecs(manager: "pluggy.PluginManager") -> None:
    from kubrick_apiserver import hookspecs

    manager.add_hookspecs(hookspecs)


@hookimpl
def kubrick_register_settings() -> type:
    from kubrick_apiserver.settings import Settings

    return Settings


@hookimpl
def kubrick_register_options() -> "Sequence[Option]":
    from kubrick_kernel import Option

    return (
        Option("--listen", "apiserver", "listen", "HOST:PORT the API server listens on."),
        Option("--advertise-address", "apiserver", "advertise_address", "The address others reach the API server by."),
    )
