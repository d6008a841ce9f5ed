"""Network configuration lists (CNI specification, section 1): read, checked, and taken apart. Pure but
for `load_lists`, which reads a folder as runtimes do.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from kubrick_network.errors import DECODING_FAILURE, IO_FAILURE, CNIError, invalid
from kubrick_network.request import check_container_id, check_interface_name, check_network_name
from kubrick_network.result import SUPPORTED, Result, at_least, render_result

Object = dict[str, Any]


@frozen
class NetworkList:
    """A chain of plugin configurations under one name. `document` is what it was read from."""

    name: str
    version: str
    plugins: tuple[Object, ...]
    disable_check: bool = False
    disable_gc: bool = False
    document: Object = field(factory=dict, repr=False, eq=False)


@frozen
class Attachment:
    """A container's interface in a network. `capabilities` is what the runtime has for plugins that
    say they can use it (portMappings, ips, mac, dns, ipRanges, ...)."""

    container_id: str
    netns: str = ""
    ifname: str = "eth0"
    args: Mapping[str, str] = field(factory=dict)
    capabilities: Mapping[str, Any] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        check_container_id(self.container_id)
        check_interface_name(self.ifname)


def parse_list(document: Any) -> NetworkList:
    """A configuration list. Raises CNIError saying what is wrong."""
    if not isinstance(document, dict):
        raise CNIError(DECODING_FAILURE, "a network configuration list is a JSON object")
    check_network_name(document.get("name"))
    plugins = document.get("plugins")
    if not isinstance(plugins, list) or not plugins:
        raise invalid(f"network {document['name']!r}: no plugins in list")
    for index, plugin in enumerate(plugins):
        if not isinstance(plugin, dict) or not isinstance(plugin.get("type"), str) or not plugin["type"]:
            raise invalid(f"network {document['name']!r}: plugins[{index}] lacks its type")
    return NetworkList(
        document["name"],
        _version(document),
        tuple(plugins),
        _switch(document, "disableCheck"),
        _switch(document, "disableGC"),
        document,
    )


def _version(document: Object) -> str:
    """The newest version of ``cniVersions`` and ``cniVersion`` that we speak."""
    stated = [str(version) for version in document.get("cniVersions") or ()]
    if "cniVersion" in document:
        stated.append(str(document["cniVersion"]))
    known = [version for version in SUPPORTED if version in stated]
    if not known:
        raise CNIError(
            1, f"network {document['name']!r}: unsupported cniVersion {', '.join(stated) or 'none'}",
            f"supported are {', '.join(SUPPORTED)}",
        )  # fmt: skip
    return known[-1]


def _switch(document: Object, key: str) -> bool:
    value = document.get(key, False)
    if value in (True, "true"):
        return True
    if value in (False, "false"):
        return False
    raise invalid(f"network {document['name']!r}: {key} must be true or false, not {value!r}")


def plugin_config(
    network: NetworkList, plugin: Object, capabilities: Mapping[str, Any], previous: Result | None
) -> Object:
    """What `plugin` is given on standard input: its own part, the list's name and version, those of the
    runtime's `capabilities` it asked for, and the result so far."""
    config = {key: value for key, value in plugin.items() if key != "capabilities"}
    config |= {"name": network.name, "cniVersion": network.version}
    asked = plugin.get("capabilities") or {}
    given = {key: value for key, value in capabilities.items() if asked.get(key) is True}
    if given:
        config["runtimeConfig"] = given
    if previous is not None:
        config["prevResult"] = render_result(previous, network.version)
    return config


def load_lists(folder: Path) -> list[NetworkList]:
    """The networks of a configuration folder, in order of file names; a single plugin's configuration
    (.conf, .json) is a list of one."""
    networks = []
    for file in sorted(folder.glob("*") if folder.is_dir() else ()):
        if file.suffix not in (".conflist", ".conf", ".json"):
            continue
        try:
            document = json.loads(file.read_bytes())
        except OSError as error:
            raise CNIError(IO_FAILURE, f"{file} can't be read", str(error)) from error
        except ValueError as error:
            raise CNIError(DECODING_FAILURE, f"{file} is no JSON", str(error)) from error
        if isinstance(document, dict) and "plugins" not in document and "type" in document:
            document = {"cniVersion": "0.3.0", **document, "plugins": [document]}
        networks.append(parse_list(document))
    return networks


def bridged_list(
    name: str, bridge: str, ranges: tuple[str, ...], *, data_dir: str, mtu: int = 0, except_ranges: tuple[str, ...] = ()
) -> Object:
    """The list a node has by default: pods on a bridge, host ports by portmap."""
    plugin: Object = {
        "type": "bridge",
        "bridge": bridge,
        "isDefaultGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {"type": "host-local", "dataDir": data_dir, "ranges": [[{"subnet": subnet}] for subnet in ranges]},
    }
    if mtu:
        plugin["mtu"] = mtu
    if except_ranges:
        plugin["ipMasqExcept"] = [*except_ranges]
    return {
        "cniVersion": "1.0.0",
        "name": name,
        "plugins": [plugin, {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}],
    }


def allows(network: NetworkList, version: str) -> bool:
    return at_least(network.version, version)
