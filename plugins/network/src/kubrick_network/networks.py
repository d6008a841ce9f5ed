"""The runtime's side of CNI: attaches containers to networks through chains of plugins.

What libcni is to Go runtimes. An attachment's configuration and result are kept in a file, so that DEL,
CHECK and GC work with what ADD really did, though the configuration has changed meanwhile. Everything
here blocks: call it in a worker thread.
"""

import base64
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kubrick_network.contract import ADD, CHECK, DEL, GC, STATUS, Request
from kubrick_network.errors import CNIError
from kubrick_network.lists import Attachment, NetworkList, allows, parse_list, plugin_config
from kubrick_network.plugins import Plugins
from kubrick_network.result import Result, parse_result, render_result

Object = dict[str, Any]


class Networks:
    """Attaches and detaches. `cache_dir` is where what was done is kept; `path` is what programs are given
    as CNI_PATH, and otherwise where the plugins' programs are."""

    def __init__(self, plugins: Plugins, cache_dir: Path, path: tuple[str, ...] = ()) -> None:
        self._plugins = plugins
        self._cache = Cache(cache_dir)
        self._path = path or plugins.path

    def add(self, network: NetworkList, attachment: Attachment) -> Result:
        """Attach; what was made before a failure is taken back."""
        result: Result | None = None
        try:
            for plugin in network.plugins:
                config = plugin_config(network, plugin, attachment.capabilities, result)
                result = self._plugins.call(plugin["type"], self._request(ADD, config, attachment))
        except CNIError:
            try:
                self._delete_chain(network, attachment, result)
            except CNIError:
                pass  # the first failure is the one to tell
            raise
        assert result is not None
        self._cache.write(network, attachment, result)
        return result

    def delete(self, network: NetworkList, attachment: Attachment) -> None:
        """Detach: as it was attached, if that is known."""
        known = self._cache.read(network.name, attachment.container_id, attachment.ifname)
        if known:
            network, attachment, result = known
            self._delete_chain(network, attachment, result if allows(network, "0.4.0") else None)
        else:
            self._delete_chain(network, attachment, None)
        self._cache.forget(network.name, attachment)

    def _delete_chain(self, network: NetworkList, attachment: Attachment, result: Result | None) -> None:
        """Every plugin is asked, though one fails; the first failure is raised."""
        failure: CNIError | None = None
        for plugin in reversed(network.plugins):
            config = plugin_config(network, plugin, attachment.capabilities, result)
            try:
                self._plugins.call(plugin["type"], self._request(DEL, config, attachment))
            except CNIError as error:
                failure = failure or error
        if failure:
            raise failure

    def check(self, network: NetworkList, attachment: Attachment) -> None:
        """Raise when the attachment isn't as `add` left it."""
        if network.disable_check or not allows(network, "0.4.0"):
            return
        known = self._cache.read(network.name, attachment.container_id, attachment.ifname)
        if not known:
            raise CNIError(3, f"container {attachment.container_id} has no {attachment.ifname} in {network.name}")
        network, attachment, result = known
        for plugin in network.plugins:
            config = plugin_config(network, plugin, attachment.capabilities, result)
            self._plugins.call(plugin["type"], self._request(CHECK, config, attachment))

    def gc(self, network: NetworkList, valid: Iterable[tuple[str, str]]) -> None:
        """Detach what is not among the `valid` (container, interface) pairs, then have plugins look
        for what else is left. Everything is tried; the first failure is raised."""
        kept = set(valid)
        failure: CNIError | None = None
        for stored, attachment, _ in self._cache.entries(network.name):
            if (attachment.container_id, attachment.ifname) not in kept:
                try:
                    self.delete(stored, attachment)
                except CNIError as error:
                    failure = failure or error
        if allows(network, "1.1.0") and not network.disable_gc:
            listed = [{"containerID": container, "ifname": ifname} for container, ifname in sorted(kept)]
            for plugin in network.plugins:
                config = plugin_config(network, plugin, {}, None) | {"cni.dev/valid-attachments": listed}
                try:
                    self._plugins.call(plugin["type"], self._request(GC, config))
                except CNIError as error:
                    failure = failure or error
        if failure:
            raise failure

    def status(self, network: NetworkList) -> None:
        """Raise when the network couldn't serve an `add` now."""
        if allows(network, "1.1.0"):
            for plugin in network.plugins:
                config = plugin_config(network, plugin, {}, None)
                self._plugins.call(plugin["type"], self._request(STATUS, config))

    def teardown(self, network: NetworkList) -> None:
        """Detach everybody and remove what the network has on this node."""
        failure: CNIError | None = None
        try:
            self.gc(network, ())
        except CNIError as error:
            failure = error
        for plugin in reversed(network.plugins):
            request = Request(DEL, plugin_config(network, plugin, {}, None), path=self._path)
            for name in (plugin["type"], (plugin.get("ipam") or {}).get("type")):
                if name:
                    self._plugins.teardown(name, request)
        if failure:
            raise failure

    def attachments(self, network: NetworkList) -> list[Attachment]:
        """Who is attached, as far as is known."""
        return [attachment for _, attachment, _ in self._cache.entries(network.name)]

    def _request(self, command: str, config: Object, attachment: Attachment | None = None) -> Request:
        if attachment is None:
            return Request(command, config, path=self._path)
        return Request(
            command,
            config,
            attachment.container_id,
            attachment.netns,
            attachment.ifname,
            attachment.args,
            self._path,
        )


class Cache:
    """One file per attachment, in the form libcni keeps (kind cniCacheV1)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _file(self, network: str, container_id: str, ifname: str) -> Path:
        return self._folder / f"{network}-{container_id}-{ifname}"

    def write(self, network: NetworkList, attachment: Attachment, result: Result) -> None:
        document = {
            "kind": "cniCacheV1",
            "containerId": attachment.container_id,
            "config": base64.b64encode(json.dumps(network.document).encode()).decode(),
            "ifName": attachment.ifname,
            "networkName": network.name,
            "netns": attachment.netns,
            "cniArgs": [[key, value] for key, value in attachment.args.items()],
            "capabilityArgs": dict(attachment.capabilities),
            "result": render_result(result, network.version),
        }
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self._file(network.name, attachment.container_id, attachment.ifname)
        fresh = file.with_name(f".{file.name}")
        fresh.write_text(json.dumps(document))
        os.replace(fresh, file)

    def read(self, network: str, container_id: str, ifname: str) -> tuple[NetworkList, Attachment, Result] | None:
        """What `write` was given, or None if there is nothing that can be read."""
        return self._read(self._file(network, container_id, ifname))

    def _read(self, file: Path) -> tuple[NetworkList, Attachment, Result] | None:
        try:
            document = json.loads(file.read_bytes())
            return (
                parse_list(json.loads(base64.b64decode(document["config"]))),
                Attachment(
                    document["containerId"],
                    document.get("netns", ""),
                    document["ifName"],
                    dict(document.get("cniArgs") or ()),
                    document.get("capabilityArgs") or {},
                ),
                parse_result(document["result"]),
            )
        except (OSError, ValueError, KeyError, TypeError, CNIError):
            return None

    def forget(self, network: str, attachment: Attachment) -> None:
        self._file(network, attachment.container_id, attachment.ifname).unlink(missing_ok=True)

    def entries(self, network: str) -> list[tuple[NetworkList, Attachment, Result]]:
        """Everything kept for `network`."""
        files = sorted(self._folder.glob(f"{network}-*")) if self._folder.is_dir() else []
        found = [entry for file in files if (entry := self._read(file))]
        return [entry for entry in found if entry[0].name == network]
