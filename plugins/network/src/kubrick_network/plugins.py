"""Calls plugins: those of the agent as methods, any other as a program.

`Plugins.call` is also what delegation goes through, so one of ours may have a program manage its
addresses. `Plugins.serve` is the other direction: what the shim forwards, answered as a program would.
"""

import json
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve

from kubrick_kernel import get_logger
from kubrick_network.contract import ADD, CHECK, DEL, GC, VERSION, CNIPlugin, Request, Restoring
from kubrick_network.errors import (
    DECODING_FAILURE,
    INTERNAL,
    INVALID_CONFIGURATION,
    INVALID_NAMESPACE,
    IO_FAILURE,
    TRY_AGAIN_LATER,
    CNIError,
)
from kubrick_network.ledger import Ledger
from kubrick_network.namespace import is_same
from kubrick_network.request import check_version, environment_of, parse_request
from kubrick_network.result import LATEST, Result, parse_result, render_result

log = get_logger("network")

PATIENCE = 120.0
"""Seconds a program may take. A runtime gives up earlier, but it can't end what we started."""


class Plugins:
    """The agent's plugins by name, and where programs are. For a name in `standard` a program is
    called though there is a plugin; programs are looked for in `path` first, then in CNI_PATH. What is served is
    noted in `ledger`."""

    def __init__(
        self,
        plugins: Iterable[CNIPlugin],
        standard: Iterable[str] = (),
        path: Sequence[str | Path] = (),
        ledger: Ledger | None = None,
    ) -> None:
        self.path = tuple(str(folder) for folder in path)
        self.ledger = ledger
        passed_over = set(standard)
        self._plugins = {plugin.name: plugin for plugin in plugins if plugin.name not in passed_over}

    @property
    def names(self) -> list[str]:
        return sorted(self._plugins)

    def call(self, name: str, request: Request) -> Result | None:
        """Have the plugin `name` answer `request`; ADD gives a result. Raises CNIError."""
        plugin = self._plugins.get(name)
        if plugin is None:
            return execute(self.program(name, request.path), request)
        check_version(request, plugin.versions)
        mine = evolve(request, call=self.call)
        try:
            if request.command == ADD:
                return plugin.add(mine)
            _verb(plugin, request.command)(mine)
        except CNIError:
            raise
        except Exception as error:
            log.error("failed", plugin=name, command=request.command, exc_info=error)
            raise CNIError(INTERNAL, f"plugin {name!r} failed", repr(error)) from error
        return None

    def teardown(self, name: str, request: Request) -> None:
        """Have the plugin remove its network from this node. Programs can't."""
        if plugin := self._plugins.get(name):
            plugin.teardown(evolve(request, call=self.call))

    def program(self, name: str, path: Sequence[str] = ()) -> str:
        """The file of the program `name`."""
        folders = dict.fromkeys((*self.path, *path))
        if "/" not in name:
            for folder in folders:
                file = os.path.join(folder, name)
                if os.access(file, os.X_OK):
                    return file
        raise CNIError(
            INVALID_CONFIGURATION,
            f"failed to find plugin {name!r} in path [{' '.join(folders)}]",
            f"plugins of the node agent are: {', '.join(self.names) or 'none'}",
        )

    def serve(self, name: str, environment: Mapping[str, str], stdin: bytes) -> tuple[int, bytes]:
        """Answer as the program `name` would: its exit code and its standard output."""
        version = LATEST
        try:
            plugin = self._plugins.get(name)
            if plugin is None:
                raise CNIError(
                    INVALID_CONFIGURATION,
                    f"the node agent has no plugin {name!r}",
                    f"there are: {', '.join(self.names) or 'none'}",
                )
            if environment.get("CNI_COMMAND") == VERSION:
                return 0, _encode({"cniVersion": LATEST, "supportedVersions": [*plugin.versions]})
            version = _version(stdin)
            request = parse_request(environment, stdin)
            if request.netns and is_same(request.netns) and environment.get("CNI_NETNS_OVERRIDE") != "1":
                raise CNIError(INVALID_NAMESPACE, "plugin's netns and netns from CNI_NETNS should not be the same")
            if self.ledger is not None and request.command == DEL:
                self.ledger.forget(name, request)
            result = self.call(name, request)
            if self.ledger is not None and result is not None:
                self.ledger.note(name, request, result)
            return 0, b"" if result is None else _encode(render_result(result, request.version))
        except CNIError as error:
            return 1, _encode(error.document(version))
        except OSError as error:  # the ledger's disk is full
            return 1, _encode(CNIError(IO_FAILURE, "the attachment can't be noted", str(error)).document(version))

    @property
    def tables(self) -> tuple[str, ...]:
        """The inet tables of those that can restore theirs."""
        return tuple(
            name for plugin in self._plugins.values() if isinstance(plugin, Restoring) for name in plugin.tables
        )

    def restore(self) -> int:
        """Have what was served made again where somebody took it away; how many attachments lacked something."""
        return self.ledger.restore(self._plugins, self.call) if self.ledger is not None else 0


def _verb(plugin: CNIPlugin, command: str) -> Any:
    if command == DEL:
        return plugin.delete
    if command == CHECK:
        return plugin.check
    return plugin.gc if command == GC else plugin.status


def _encode(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _version(stdin: bytes) -> str:
    """The version to answer errors in, if the configuration says one."""
    try:
        return str(json.loads(stdin)["cniVersion"])
    except (ValueError, KeyError, TypeError):
        return LATEST


def execute(program: str, request: Request) -> Result | None:
    """Call a plugin that is a program. Raises CNIError: the program's own, or one saying how it ended."""
    environment = environment_of(request) | {"PATH": os.environ.get("PATH", "")}
    try:
        done = subprocess.run(  # noqa: S603  # CNI is: run the program the administrator configured
            [program], input=json.dumps(request.config).encode(), env=environment, capture_output=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise CNIError(TRY_AGAIN_LATER, f"{program} did not end within {PATIENCE:.0f} s") from None
    except OSError as error:
        raise CNIError(INVALID_CONFIGURATION, f"{program} could not be started", str(error)) from error
    if done.returncode:
        raise _failure(program, done)
    if request.command != ADD:
        return None
    try:
        return parse_result(json.loads(done.stdout))
    except ValueError as error:
        raise CNIError(DECODING_FAILURE, f"{program} printed no JSON", str(error)) from error


def _failure(program: str, done: "subprocess.CompletedProcess[bytes]") -> CNIError:
    try:
        said = json.loads(done.stdout)
        return CNIError(int(said["code"]), str(said["msg"]), str(said.get("details") or ""))
    except (ValueError, KeyError, TypeError):
        text = (done.stderr or done.stdout).decode(errors="replace").strip()
        return CNIError(INTERNAL, f"{program} ended with {done.returncode}", text)
