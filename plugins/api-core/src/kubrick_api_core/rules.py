"""Rules for texts that only core objects have: names of ports, variables and headers, keys of ConfigMaps, paths.

From apimachinery's util/validation and pkg/apis/core/validation. Each answers with what is wrong.
"""

import re
from collections.abc import Sequence

from kubrick_api.errors import FieldError, invalid_value, not_supported, required

CONFIG_MAP_KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  "
    "or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
HEADER = (
    "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for "
    "validation is '[-A-Za-z0-9]+')"
)
VARIABLE = "a valid environment variable name must consist only of printable ASCII characters other than '='"
SUBDOMAIN_UNDERSCORE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')"
)
PORT_RANGE = "must be between 1 and 65535, inclusive"
PROTOCOLS = ("SCTP", "TCP", "UDP")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
RELATIVE = "must be a relative path"
NO_BACKSTEPS = "must not contain '..'"


is_port_name_text = re.compile(r"[-a-z0-9]+").fullmatch
has_letter = re.compile(r"[a-z]").search
is_config_map_key_text = re.compile(r"[-._a-zA-Z0-9]+").fullmatch
is_variable_name = re.compile(r"[ -<>-~]+").fullmatch
is_header_name = re.compile(r"[-A-Za-z0-9]+").fullmatch
is_subdomain_with_underscore = re.compile(
    r"_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*"
).fullmatch


def port_name(text: str) -> list[str]:
    """What is wrong with a port's name: an IANA service name."""
    errors = []
    if len(text) > 15:
        errors.append("must be no more than 15 bytes")
    if not is_port_name_text(text):
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not has_letter(text):
        errors.append("must contain at least one letter (a-z)")
    if "--" in text:
        errors.append("must not contain consecutive hyphens")
    if text and (text[0] == "-" or text[-1] == "-"):
        errors.append("must not begin or end with a hyphen")
    return errors


def config_map_key(text: str) -> list[str]:
    """What is wrong with a key of a ConfigMap or Secret."""
    errors = []
    if len(text) > 253:
        errors.append("must be no more than 253 bytes")
    if not is_config_map_key_text(text):
        errors.append(CONFIG_MAP_KEY)
    if text == ".":
        errors.append("must not be '.'")
    elif text == "..":
        errors.append("must not be '..'")
    elif text.startswith(".."):
        errors.append("must not start with '..'")
    return errors


def variable_name(text: str) -> list[str]:
    """What is wrong with the name of an environment variable."""
    if not text:
        return ["environment variable name must be non-empty"]
    return [] if is_variable_name(text) else [VARIABLE]


def search_domain(text: str) -> list[str]:
    """What is wrong with a domain to search; it may have underscores."""
    errors = ["must be no more than 253 bytes"] if len(text) > 253 else []
    if not is_subdomain_with_underscore(text):
        errors.append(SUBDOMAIN_UNDERSCORE)
    return errors


def port_in_range(value: int, path: str) -> list[FieldError]:
    return [] if 1 <= value <= 65535 else [invalid_value(path, value, PORT_RANGE)]


def port_number_or_name(value: int | str | None, path: str) -> list[FieldError]:
    """An int-or-string that names a port."""
    if isinstance(value, str):
        return [invalid_value(path, value, why) for why in port_name(value)]
    return port_in_range(value or 0, path)


def protocol(value: str | None, path: str) -> list[FieldError]:
    if not value:
        return [required(path)]
    return [] if value in PROTOCOLS else [not_supported(path, value, PROTOCOLS)]


def pull_policy(value: str | None, path: str) -> list[FieldError]:
    if not value:
        return [required(path)]
    return [] if value in PULL_POLICIES else [not_supported(path, value, PULL_POLICIES)]


def supported(value: str, choices: Sequence[str], path: str) -> list[FieldError]:
    return [] if value in choices else [not_supported(path, value, choices)]


def no_backsteps(text: str, path: str) -> list[FieldError]:
    """A path that doesn't lead out of where it starts."""
    return [invalid_value(path, text, NO_BACKSTEPS)] if ".." in text and ".." in text.split("/") else []


def descending_path(text: str, path: str) -> list[FieldError]:
    """A relative path that leads nowhere up."""
    errors = [invalid_value(path, text, RELATIVE)] if text.startswith("/") else []
    return errors + no_backsteps(text, path)


def local_path(text: str, path: str) -> list[FieldError]:
    """A path inside a volume: relative, not out of it, and no name the kubelet keeps for itself."""
    errors = descending_path(text, path)
    if text.startswith("..") and not text.startswith("../"):
        errors.append(invalid_value(path, text, "must not start with '..'"))
    return errors
