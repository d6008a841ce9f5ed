"""Reads a plugin's call: CNI_* variables and the configuration on standard input. Pure.

What is wrong is said with CNI's codes: the environment is 4, what is no JSON is 6, a configuration that
lacks or misspells something is 7, a version this plugin doesn't speak is 1.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from kubrick_network.contract import ADD, CHECK, DEL, GC, STATUS, VERSION, Request
from kubrick_network.errors import DECODING_FAILURE, INCOMPATIBLE_VERSION, INVALID_ENVIRONMENT, CNIError, invalid
from kubrick_network.result import LATEST, at_least

COMMANDS = (ADD, DEL, CHECK, GC, STATUS, VERSION)
REQUIRED = {
    ADD: ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"),
    CHECK: ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"),
    DEL: ("CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"),
    GC: ("CNI_PATH",),
    STATUS: ("CNI_PATH",),
}
SINCE = {CHECK: "0.4.0", GC: "1.1.0", STATUS: "1.1.0"}
"""Verbs that came later than the first version supported."""

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*")
_LONGEST_INTERFACE = 15


def parse_request(environment: Mapping[str, str], stdin: bytes) -> Request:
    """The call a runtime makes. Raises CNIError."""
    command = environment.get("CNI_COMMAND", "")
    if not command:
        raise CNIError(INVALID_ENVIRONMENT, "required env variables [CNI_COMMAND] missing")
    if command not in REQUIRED:
        raise CNIError(INVALID_ENVIRONMENT, f"unknown CNI_COMMAND: {command}", f"known are {', '.join(COMMANDS)}")
    missing = [name for name in REQUIRED[command] if not environment.get(name)]
    if missing:
        raise CNIError(INVALID_ENVIRONMENT, f"required env variables [{','.join(missing)}] missing")
    config = parse_config(stdin)
    container_id, ifname = environment.get("CNI_CONTAINERID", ""), environment.get("CNI_IFNAME", "")
    if container_id:
        check_container_id(container_id)
    if ifname:
        check_interface_name(ifname)
    return Request(
        command,
        config,
        container_id,
        environment.get("CNI_NETNS", ""),
        ifname,
        parse_args(environment.get("CNI_ARGS", "")),
        tuple(part for part in environment.get("CNI_PATH", "").split(":") if part),
    )


def parse_config(stdin: bytes) -> dict[str, Any]:
    """The network configuration of one plugin."""
    try:
        config = json.loads(stdin)
    except ValueError as error:
        raise CNIError(DECODING_FAILURE, "the network configuration on stdin is no JSON", str(error)) from error
    if not isinstance(config, dict):
        raise CNIError(DECODING_FAILURE, "the network configuration on stdin is no JSON object")
    check_network_name(config.get("name"))
    version = config.get("cniVersion", "0.1.0")
    if not isinstance(version, str):
        raise invalid(f"cniVersion must be a string, not {version!r}")
    at_least(version, LATEST)
    for key in ("ipam", "runtimeConfig", "prevResult", "args", "dns", "capabilities"):
        if config.get(key) is not None and not isinstance(config[key], dict):
            raise invalid(f"{key} must be an object, not {config[key]!r}")
    return config


def check_version(request: Request, versions: Sequence[str]) -> None:
    """Whether a plugin that speaks `versions` may take this request."""
    asked = str(request.config.get("cniVersion") or "0.1.0")
    if asked not in versions:
        raise CNIError(
            INCOMPATIBLE_VERSION, "incompatible CNI versions", f"config is {asked!r}, plugin supports {[*versions]}"
        )
    since = SINCE.get(request.command)
    if since and not at_least(asked, since):
        raise CNIError(
            INCOMPATIBLE_VERSION,
            f"config version does not allow {request.command}",
            f"config is {asked!r}, {request.command} came with {since!r}",
        )


def check_network_name(name: Any) -> None:
    if not name or not isinstance(name, str):
        raise invalid("missing network name", "the configuration needs the key name")
    if not _NAME.fullmatch(name):
        raise invalid(f"invalid characters found in network name {name!r}", "letters, digits, and _ . - inside")


def check_container_id(container_id: str) -> None:
    if not _NAME.fullmatch(container_id):
        raise CNIError(
            INVALID_ENVIRONMENT, f"invalid characters in containerID {container_id!r}", "letters, digits, and _ . -"
        )


def check_interface_name(name: str) -> None:
    """As the kernel and CNI have it: at most 15 bytes, no slash, colon or blank, not . or .. ."""
    if len(name.encode()) > _LONGEST_INTERFACE:
        raise CNIError(INVALID_ENVIRONMENT, f"interface name {name!r} is too long", "at most 15 bytes")
    if name in (".", "..") or re.search(r"[/:\s]", name):
        raise CNIError(INVALID_ENVIRONMENT, f"interface name {name!r} is invalid", "no / : or blank, not . or ..")


def parse_args(text: str) -> dict[str, str]:
    """CNI_ARGS: KEY=VALUE pairs separated by semicolons."""
    args = {}
    for part in text.split(";") if text else ():
        key, equals, value = part.partition("=")
        if not (key and equals):
            raise CNIError(INVALID_ENVIRONMENT, f"CNI_ARGS: invalid pair {part!r}", "it must be KEY=VALUE")
        args[key] = value
    return args


def environment_of(request: Request) -> dict[str, str]:
    """The variables a program is started with to get `request`."""
    found = {"CNI_COMMAND": request.command, "CNI_PATH": ":".join(request.path)}
    optional = {
        "CNI_CONTAINERID": request.container_id,
        "CNI_NETNS": request.netns,
        "CNI_IFNAME": request.ifname,
        "CNI_ARGS": ";".join(f"{key}={value}" for key, value in request.args.items()),
    }
    return found | {name: value for name, value in optional.items() if value}
