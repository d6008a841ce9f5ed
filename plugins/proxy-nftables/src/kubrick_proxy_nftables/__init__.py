"""Services by nftables: what kube-proxy does, compiled, diffed and sent as one transaction.

The pure half decides: `services` and `topology` read objects, `rules` compiles them, `ruleset` takes the
difference, `conntrack` says which UDP connections are stale. The other half touches: `nft` and `netlink` the
kernel, `guard` and `proxy` are the components, `health` answers load balancers.
`kubrick_proxy_nftables.testing` has an nft interpreter to try rules without a kernel.
"""

from collections.abc import Sequence

from kubrick_kernel import Component, ConfigurationError, Kernel, hookimpl


@hookimpl
def kubrick_register_settings() -> type:
    from kubrick_proxy_nftables.settings import Settings

    return Settings


@hookimpl
def kubrick_register_components(kernel: Kernel) -> Sequence[Component]:
    from kubrick_proxy_nftables.guard import Guard
    from kubrick_proxy_nftables.proxy import Proxy

    settings = kernel.settings("proxy-nftables")
    guard = Guard(kernel, settings)
    kernel.offer(Guard, guard)
    proxy = Proxy(kernel, settings, guard)
    kernel.offer(Proxy, proxy)
    return [guard, proxy]


@hookimpl
def kubrick_register_sweepers(kernel: Kernel) -> Sequence[Component]:
    """It removes the whole table when it ends."""
    from kubrick_proxy_nftables.guard import Guard

    return [kernel.find(Guard)]


@hookimpl
def kubrick_register_checks(kernel: Kernel) -> Sequence[str]:
    import os

    from kubrick_proxy_nftables.nft import open_nft

    problems = []
    try:
        kernel.settings("proxy-nftables").check()
        open_nft().close()
    except ConfigurationError as error:
        problems.append(str(error))
    if os.geteuid() != 0:
        problems.append("proxy-nftables: writing rules needs root; run as root, or use the profile hollow")
    return problems
