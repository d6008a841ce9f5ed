"""How a component gets its `Client`: in process where it can, over HTTPS where it must."""

from typing import TYPE_CHECKING

from attrs import define, frozen

from kubrick_api.storage import UserInfo
from kubrick_client.client import Client
from kubrick_client.transport import Connector, Transport

if TYPE_CHECKING:
    from kubrick_kernel import Kernel

SERVICE_ACCOUNT = "system:serviceaccount:"


@define
class ClientSettings:
    """``[plugins.client]``: where the API server is when it is not in this process.

    `kubeconfig` is a file ("" means $KUBECONFIG, then ~/.kube/config), `context` one of its contexts
    ("" means its current one).
    """

    kubeconfig: str = ""
    context: str = ""


@frozen
class RootCA:
    """The certificate authority that signed the API server's certificate, in PEM. The server offers it
    (`Kernel.offer(RootCA, ...)`) when it has one."""

    pem: str


def identity(user: str, groups: tuple[str, ...] = ()) -> UserInfo:
    """`user` with the groups the server would give it: everyone is authenticated, and a service account
    is in its namespace's groups."""
    found = [*groups]
    if user.startswith(SERVICE_ACCOUNT):
        namespace = user[len(SERVICE_ACCOUNT) :].partition(":")[0]
        found += ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"]
    found.append("system:authenticated")
    return UserInfo(user, groups=tuple(dict.fromkeys(found)))


def connect(kernel: "Kernel", user: str, groups: tuple[str, ...] = ()) -> Client:
    """A client that speaks as `user`. Call it when running, not while plugins are being registered.

    Over HTTPS the identity is the kubeconfig's, whatever `user` says: give each process the
    credentials it should have. Close the client (`Client.aclose`) when done.
    """
    transport: Transport
    if kernel.has(Connector):
        transport = kernel.find(Connector).transport(identity(user, tuple(groups)))
    else:
        from kubrick_client.https import HttpsTransport
        from kubrick_client.kubeconfig import load_kubeconfig

        settings = kernel.settings("client")
        transport = HttpsTransport(load_kubeconfig(settings.kubeconfig, settings.context), agent=user)
    return Client(transport, clock=kernel.clock, generator=kernel.random, user=user)
