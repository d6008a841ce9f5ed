"""What the agent's plugins did for containers, so that it can be done again.

A runtime calls a plugin once per container; what it made (rules, links) may be taken away later by somebody who
flushes the rule set or deletes the bridge, and nobody calls again. So each successful ADD is noted, in a file per
attachment, until its DEL; `restore` looks at each and has the plugins that can (`Restoring`) make it anew.
"""

import json
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from kubrick_kernel import get_logger
from kubrick_network.contract import CHECK, CNIPlugin, Request, Restoring
from kubrick_network.errors import CNIError
from kubrick_network.namespace import NoNamespace
from kubrick_network.result import Result, parse_result, render_result

log = get_logger("network")
Object = dict[str, Any]


@frozen
class Call:
    """An ADD that went well."""

    plugin: str
    request: Request
    result: Result


class Ledger:
    """The notes in `folder`. Safe for threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._calls: dict[tuple[str, ...], list[Call]] = {}
        for file in sorted(folder.iterdir()) if folder.is_dir() else ():
            for call in _read(file):
                self._calls.setdefault(_key(call.request), []).append(call)

    def note(self, plugin: str, request: Request, result: Result) -> None:
        """Raises OSError."""
        with self._lock:
            calls = [call for call in self._calls.get(_key(request), ()) if call.plugin != plugin]
            self._keep(request, [*calls, Call(plugin, request, result)])

    def forget(self, plugin: str, request: Request) -> None:
        """To be called before the plugin undoes it, which no full disk may prevent."""
        with self._lock:
            if calls := self._calls.get(_key(request)):
                try:
                    self._keep(request, [call for call in calls if call.plugin != plugin])
                except OSError as error:  # forgotten until the next start, which finds no namespace
                    log.warning("a note stays behind", plugin=plugin, error=str(error))

    def interfaces(self) -> set[str]:
        """The interfaces that should be on the host."""
        with self._lock:
            return {
                one.name
                for calls in self._calls.values()
                for call in calls
                for one in call.result.interfaces
                if not one.sandbox
            }

    def restore(self, plugins: Mapping[str, CNIPlugin], call: Any) -> int:
        """Make again what is gone; how many attachments lacked something. `call` is for delegation. Blocks."""
        with self._lock:
            keys = list(self._calls)
        return sum(self._restore(key, plugins, call) for key in keys)

    def _restore(self, key: tuple[str, ...], plugins: Mapping[str, CNIPlugin], call: Any) -> bool:
        lacking = False
        with self._lock:  # a DEL waits, and finds everything there
            for one in self._calls.get(key, ()):
                plugin = plugins.get(one.plugin)
                if not isinstance(plugin, Restoring):
                    continue
                previous = {"prevResult": render_result(one.result, one.request.version)}
                request = evolve(one.request, command=CHECK, config={**one.request.config, **previous}, call=call)
                try:
                    try:
                        plugin.check(request)
                    except NoNamespace:
                        break  # the container has ended; its DEL will come
                    except CNIError as error:
                        lacking = True
                        log.warning("put back", plugin=one.plugin, container=key[1], lacking=str(error))
                        plugin.restore(request)
                except Exception as error:
                    log.error("not put back", plugin=one.plugin, container=key[1], error=str(error))
        return lacking

    def _keep(self, request: Request, calls: list[Call]) -> None:
        key = _key(request)
        file = self._folder / "-".join(key)
        if not calls:
            del self._calls[key]
            file.unlink(missing_ok=True)
            return
        self._calls[key] = calls
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = file.with_name(f".{file.name}")
        fresh.write_text(json.dumps([_render(call) for call in calls]))
        os.replace(fresh, file)


def _key(request: Request) -> tuple[str, ...]:
    return (request.network, *request.attachment)


def _render(call: Call) -> Object:
    request = call.request
    return {
        "plugin": call.plugin,
        "config": request.config,
        "containerId": request.container_id,
        "netns": request.netns,
        "ifName": request.ifname,
        "args": dict(request.args),
        "path": list(request.path),
        "result": render_result(call.result, request.version),
    }


def _read(file: Path) -> Iterator[Call]:
    """What can be read of a file; nothing of one that was being written."""
    if file.name.startswith("."):
        return
    try:
        for one in json.loads(file.read_bytes()):
            request = Request(
                CHECK,
                one["config"],
                one["containerId"],
                one["netns"],
                one["ifName"],
                one["args"],
                tuple(one["path"]),
            )
            yield Call(one["plugin"], request, parse_result(one["result"]))
    except (OSError, ValueError, KeyError, TypeError, CNIError) as error:
        log.warning("an attachment can't be read", file=str(file), error=str(error))
