"""Rules for texts that only core objects have: port names, keys of ConfigMaps and Secrets.

From apimachinery's util/validation (IsValidPortName, IsConfigMapKey).
"""

import re

CONFIG_MAP_KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  "
    "or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)


is_port_name_text = re.compile(r"[-a-z0-9]+").fullmatch
has_letter = re.compile(r"[a-z]").search
is_config_map_key_text = re.compile(r"[-._a-zA-Z0-9]+").fullmatch


def port_name(text: str) -> list[str]:
    """What is wrong with a port's name: an IANA service name."""
    errors = []
    if len(text) > 15:
        errors.append("must be no more than 15 characters")
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
