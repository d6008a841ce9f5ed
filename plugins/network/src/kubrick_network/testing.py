"""For authors of CNI plugins: requests in one line, a fake, and a check that a plugin keeps the contract.

    check_plugin(MyPlugin(), {"type": "mine"}, netns="/run/netns/test")

A plugin that acts on links wants a real namespace; one that doesn't takes any path.
"""

from collections.abc import Mapping, Sequence
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from attrs import evolve

from kubrick_kernel import Composition, Kernel, Profile, build_plugin_manager, hookimpl
from kubrick_network.contract import ADD, CHECK, DEL, GC, STATUS, CNIPlugin, Request
from kubrick_network.errors import CHECK_FAILED, CNIError
from kubrick_network.plugins import Plugins
from kubrick_network.result import LATEST, SUPPORTED, Address, Interface, Result, render_result

Object = dict[str, Any]


def request(command: str = ADD, *, container: str = "box", netns: str = "/run/netns/box", **config: Any) -> Request:
    """A request of network "net" in the latest version; `config` adds to the configuration."""
    base: Object = {"cniVersion": LATEST, "name": "net"}
    return Request(command, base | config, container, netns, "eth0", {}, ())


class Fake:
    """A plugin that keeps everything in memory. Alone it gives addresses of 192.0.2.0/24; in a chain it
    passes on what came before. `failing` names verbs that raise."""

    versions: Sequence[str] = SUPPORTED

    def __init__(self, name: str = "fake") -> None:
        self.name = name
        self.attached: dict[tuple[str, str, str], Result] = {}
        self.requests: list[Request] = []
        self.failing: set[str] = set()

    def _called(self, request: Request) -> tuple[str, str, str]:
        self.requests.append(request)
        if request.command in self.failing:
            raise CNIError(111, f"{self.name} was told to fail")
        return (request.network, *request.attachment)

    def add(self, request: Request) -> Result:
        key = self._called(request)
        result = request.previous
        if result is None:
            taken = {str(ip.address) for made in self.attached.values() for ip in made.ips}
            free = next(text for n in range(2, 255) if (text := f"192.0.2.{n}/24") not in taken)
            box = Interface(request.ifname, "02:00:00:00:00:01", sandbox=request.netns)
            result = Result((box,), (Address(ip_interface(free), interface=0),))
        self.attached[key] = result
        return result

    def delete(self, request: Request) -> None:
        self.attached.pop(self._called(request), None)

    def check(self, request: Request) -> None:
        if self._called(request) not in self.attached:
            raise CNIError(CHECK_FAILED, f"{request.container_id} is not attached")

    def gc(self, request: Request) -> None:
        self._called(request)
        valid = request.valid_attachments()
        for key in list(self.attached):
            if key[0] == request.network and key[1:] not in valid:
                del self.attached[key]

    def status(self, request: Request) -> None:
        self._called(request)

    def teardown(self, request: Request) -> None:
        self.attached = {key: made for key, made in self.attached.items() if key[0] != request.network}


def check_plugin(
    plugin: CNIPlugin,
    config: Object,
    *,
    netns: str = "/run/netns/box",
    previous: Result | None = None,
    others: Sequence[CNIPlugin] = (),
) -> None:
    """Raise AssertionError (or what the plugin raises) unless it keeps the contract: every verb, every
    version, deletion that may be repeated, collection that spares the living. `previous`: for a plugin that
    needs one before it; `others`: those it delegates to."""
    plugins = Plugins([plugin, *others])

    def call(command: str, more: Object, version: str = LATEST) -> Result | None:
        asked = request(command, netns=netns, **(config | more))
        return plugins.call(plugin.name, evolve(asked, config={**asked.config, "cniVersion": version}))

    assert plugin.versions, "it speaks no version"
    assert set(plugin.versions) <= set(SUPPORTED), f"it speaks {plugin.versions}; there are {SUPPORTED}"
    call(DEL, {})
    for version in plugin.versions:
        before: Object = {"prevResult": render_result(previous, version)} if previous else {}
        result = call(ADD, before, version)
        assert isinstance(result, Result), f"ADD gave {result!r}"
        made = {"prevResult": render_result(result, version)}
        if version in SUPPORTED[2:]:
            call(CHECK, made, version)
        call(DEL, made, version)
        call(DEL, made, version)
        call(DEL, {}, version)
    if LATEST not in plugin.versions:
        return
    call(STATUS, {})
    before = {"prevResult": render_result(previous, LATEST)} if previous else {}
    result = call(ADD, before)
    assert result is not None
    made = {"prevResult": render_result(result, LATEST)}
    call(GC, {"cni.dev/valid-attachments": [{"containerID": "box", "ifname": "eth0"}]})
    call(CHECK, made)
    call(GC, {"cni.dev/valid-attachments": []})
    result = call(ADD, before)
    assert result is not None, "after collection the container can be attached again"
    call(DEL, {"prevResult": render_result(result, LATEST)})
    plugins.teardown(plugin.name, request(DEL, netns=netns, **config))


class _Alone:
    """The profile of a program that is nothing but a network."""

    def __init__(self, plugins: tuple[str, ...]) -> None:
        self._profile = Profile("alone", "nothing but a network", plugins=plugins, store="memory")

    @hookimpl
    def kubrick_register_profiles(self) -> Sequence[Profile]:
        return [self._profile]


def network_alone(
    *plugins: str,
    data_dir: Path | None = None,
    extra: Mapping[str, object] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Kernel:
    """A kernel with the network, the installed `plugins` and those given as objects (`extra`), and no
    other: none of what a profile would start. `settings` are the network's."""
    composition = Composition(profile="alone", plugins={"network": dict(settings or {})})
    alone = _Alone(("network", *plugins))
    manager = build_plugin_manager(composition, {"profiles-alone": alone, **(extra or {})})
    return Kernel(composition, data_dir=data_dir, plugins=manager)
