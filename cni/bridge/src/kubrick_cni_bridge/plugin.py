"""The plugin bridge: addresses from another plugin, a plan, links and rules made from it."""

import threading
from collections.abc import Callable

from attrs import evolve

from kubrick_cni_bridge import links, masquerade
from kubrick_cni_bridge.masquerade import FAMILY, TABLE, Element
from kubrick_cni_bridge.plan import Plan, alias, host_name, make_plan, read_settings
from kubrick_network import SUPPORTED, CNIError, Request, Result, invalid
from kubrick_network.contract import ADD, DEL
from kubrick_network.errors import CHECK_FAILED
from kubrick_network.namespace import NoNamespace
from kubrick_network.netlink import NetlinkError
from kubrick_network.nft import Refused, apply, list_table

_table = threading.Lock()
"""Between listing the table and changing it nobody else may."""


class Bridge:
    """Puts containers on a bridge."""

    name = "bridge"
    versions = SUPPORTED
    tables = (TABLE,)

    def add(self, request: Request) -> Result:
        settings = read_settings(request)
        ipam = request.delegate(settings.ipam, ADD) if settings.ipam else None
        try:
            plan = make_plan(settings, request, ipam)
            interfaces = links.attach(plan, request.netns)
            _masquerade(plan, _owner(request))
        except BaseException:
            self._undo(request, settings.ipam)
            raise
        dns = ipam.dns if ipam else Result().dns
        return Result(interfaces, plan.ips, plan.result_routes, dns)

    def _undo(self, request: Request, ipam: str) -> None:
        """Take back what there may be; what fails here is left to the runtime's DEL."""
        try:
            links.detach(host_name(request), "", "")
            _unmasquerade(_owner(request))
            if ipam:
                request.delegate(ipam, DEL)
        except (CNIError, OSError, NetlinkError):
            pass

    def delete(self, request: Request) -> None:
        settings = read_settings(request)
        if settings.masquerade:
            _unmasquerade(_owner(request))
        try:
            links.detach(host_name(request), request.ifname, request.netns)
        except NoNamespace:
            pass  # it took the interface with it
        if settings.ipam:
            # Last: the address may be somebody else's from here on.
            request.delegate(settings.ipam, DEL)

    def check(self, request: Request) -> None:
        plan, previous = _as_made(request)
        if plan.settings.ipam:
            request.delegate(plan.settings.ipam)
        links.check(plan, request.netns, _mac(previous, request))
        if plan.masquerade:
            problem = masquerade.lacking(list_table(FAMILY, TABLE), plan.masquerade, _owner(request))
            if problem:
                raise CNIError(CHECK_FAILED, problem)

    def restore(self, request: Request) -> None:
        plan, previous = _as_made(request)
        bridge = next((one.mac for one in previous.interfaces if one.name == plan.settings.bridge), "")
        links.restore(plan, request.netns, _mac(previous, request), bridge)
        with _table:
            _masquerade_anew(plan, _owner(request))

    def gc(self, request: Request) -> None:
        settings, valid = read_settings(request), request.valid_attachments()
        mark, holders = masquerade.network_mark(request.network), {_owner_of(request, *pair) for pair in valid}
        with _table:
            _remove(lambda element: element.comment.startswith(mark) and element.comment not in holders)
        ours, kept = alias(request.network, "", "").rstrip(), {alias(request.network, *pair) for pair in valid}
        links.sweep(settings.bridge, lambda name: name.startswith(f"{ours} ") and name not in kept)
        if settings.ipam:
            request.delegate(settings.ipam)

    def status(self, request: Request) -> None:
        settings = read_settings(request)
        if settings.masquerade:
            list_table(FAMILY, TABLE)
        if settings.ipam:
            request.delegate(settings.ipam)

    def teardown(self, request: Request) -> None:
        """Removes the bridge. The address plugin is asked by the host, as a plugin of its own."""
        settings = read_settings(request)
        mark = masquerade.network_mark(request.network)
        with _table:
            _remove(lambda element: element.comment.startswith(mark))
        vlan = f"{settings.bridge}.{settings.vlan}" if settings.vlan else settings.bridge
        links.remove_bridge(settings.bridge, vlan)


def _as_made(request: Request) -> tuple[Plan, Result]:
    """The plan that `add` followed, worked out from its result. Raises CNIError."""
    settings, previous = read_settings(request), request.previous
    if previous is None:
        raise invalid("Required prevResult missing")
    ours = evolve(previous, ips=tuple(previous.sandbox_ips()))
    return make_plan(settings, request, ours if settings.ipam else None), previous


def _mac(result: Result, request: Request) -> str:
    """The container's interface's."""
    return next((one.mac for one in result.interfaces if one.name == request.ifname and one.sandbox), "")


def _owner(request: Request) -> str:
    return _owner_of(request, *request.attachment)


def _owner_of(request: Request, container_id: str, ifname: str) -> str:
    return masquerade.owner(request.network, container_id, ifname)


def _masquerade(plan: Plan, holder: str) -> None:
    """Add the plan's elements; usually table and chain are there, and one small command does."""
    if not plan.masquerade:
        return
    with _table:
        try:
            apply(masquerade.elements(plan.masquerade, holder))
        except Refused:
            _masquerade_anew(plan, holder)


def _masquerade_anew(plan: Plan, holder: str) -> None:
    """Whatever is there."""
    if plan.masquerade:
        there = {str(address) for address, _ in plan.masquerade}
        old = masquerade.removal(list_table(FAMILY, TABLE), lambda element: element.address in there)
        apply(old + masquerade.everything(plan.masquerade, holder))


def _unmasquerade(holder: str) -> None:
    with _table:
        _remove(lambda element: element.comment == holder)


def _remove(gone: Callable[[Element], bool]) -> None:
    apply(masquerade.removal(list_table(FAMILY, TABLE), gone))
