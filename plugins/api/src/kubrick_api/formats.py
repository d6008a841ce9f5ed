"""Texts that must have a form: DNS-1035 labels, addresses and ranges, ports, domain names, percentages.

As in `validation`, functions of one value return what is wrong with it, as texts; those that are given a path
return `FieldError`s. Rules and wording are those of apimachinery's util/validation.
"""

import ipaddress
import re
from collections.abc import Sequence
from typing import Any

from kubrick_api import addresses
from kubrick_api.errors import FieldError, invalid_value, required, show, too_long
from kubrick_api.validation import label, non_negative, subdomain, too_long_text

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_DNS1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_WILDCARD = rf"\*\.{_SUBDOMAIN}"
_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
_HTTP_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
_PERCENT = "[0-9]+%"


def regex_text(text: str, pattern: str, *examples: str) -> str:
    """What apimachinery says of a text that doesn't match `pattern`."""
    if not examples:
        return f"{text} (regex used for validation is '{pattern}')"
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{text} (e.g. {shown}regex used for validation is '{pattern}')"


DNS1035_RULE = regex_text(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character",
    _DNS1035,
    "my-name",
    "abc-123",
)
WILDCARD_RULE = regex_text(
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
    "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    _WILDCARD,
    "*.example.com",
)
IDENTIFIER_RULE = regex_text(
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric "
    "characters or '_'",
    _IDENTIFIER,
    "my_name",
    "MY_NAME",
    "MyName",
)
PERCENT_RULE = regex_text(
    "a valid percent string must be a numeric string followed by an ending '%'", _PERCENT, "1%", "93%"
)
PATH_RULE = regex_text("Invalid path", _HTTP_PATH)
PORT_RULE = "must be between 1 and 65535, inclusive"


def invalids(path: str, value: Any, texts: Sequence[str]) -> list[FieldError]:
    """Each text as an error of the value at `path`."""
    return [invalid_value(path, value, text) for text in texts]


# Names


def dns1035_label(value: str) -> list[str]:
    """What a service's name was, and an API version's or a kind's in lower case still is."""
    errors = [too_long_text(63)] if len(value) > 63 else []
    return errors if re.fullmatch(_DNS1035, value) else [*errors, DNS1035_RULE]


def wildcard_subdomain(value: str) -> list[str]:
    errors = [too_long_text(253)] if len(value) > 253 else []
    return errors if re.fullmatch(_WILDCARD, value) else [*errors, WILDCARD_RULE]


def c_identifier(value: str) -> list[str]:
    return [] if re.fullmatch(_IDENTIFIER, value) else [IDENTIFIER_RULE]


def qualified_domain_name(value: str, path: str) -> list[FieldError]:
    """example.com, with or without a dot at its end: two labels at least."""
    if not value:
        return [required(path)]
    name = value.removesuffix(".")
    if errors := subdomain(name):
        return [invalid_value(path, name, ",".join(errors))]
    parts = name.split(".")
    if len(parts) < 2:
        return [invalid_value(path, name, "should be a domain with at least two segments separated by dots")]
    wrong = next(((part, errors) for part in parts if (errors := label(part))), None)
    return [] if wrong is None else [invalid_value(path, wrong[0], ",".join(wrong[1]))]


def fully_qualified_name(value: str, path: str) -> list[FieldError]:
    """A webhook's name: three labels at least."""
    if not value:
        return [required(path)]
    if errors := subdomain(value):
        return [invalid_value(path, value, ",".join(errors))]
    if len(value.split(".")) < 3:
        return [invalid_value(path, value, "should be a domain with at least three segments separated by dots")]
    return []


def domain_prefixed_path(value: str, path: str) -> list[FieldError]:
    """acme.io/foo: a controller's name."""
    if not value:
        return [required(path)]
    host, slash, rest = value.partition("/")
    if not (host and slash and rest):
        return [invalid_value(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    errors = invalids(path, host, subdomain(host))
    return errors if re.fullmatch(_HTTP_PATH, rest) else [*errors, invalid_value(path, rest, PATH_RULE)]


def csi_driver_name(value: str, path: str) -> list[FieldError]:
    """The name of a storage or device driver: a domain of at most 63 characters, in any case."""
    if not value:
        return [required(path)]
    errors = [too_long(path, 63)] if len(value) > 63 else []
    return errors + invalids(path, value, subdomain(value.lower()))


# Numbers


def port_number(value: int) -> list[str]:
    return [] if 1 <= value <= 65535 else [PORT_RULE]


def port_name(value: str) -> list[str]:
    """An IANA service name: "http", "foo-2"."""
    errors = [too_long_text(15)] if len(value) > 15 else []
    if not re.fullmatch("[-a-z0-9]+", value):
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        errors.append("must contain at least one letter (a-z)")
    if "--" in value:
        errors.append("must not contain consecutive hyphens")
    if value and "-" in (value[0], value[-1]):
        errors.append("must not begin or end with a hyphen")
    return errors


def int_or_percent(value: Any, path: str) -> list[FieldError]:
    """A count, not negative, or a percentage. Nothing at all is fine."""
    if isinstance(value, str):
        return [] if re.fullmatch(_PERCENT, value) else [invalid_value(path, value, PERCENT_RULE)]
    return [] if value is None else non_negative(value, path)


def at_most_whole(value: Any, path: str) -> list[FieldError]:
    """A percentage is of a whole."""
    above = isinstance(value, str) and re.fullmatch(_PERCENT, value) and int(value[:-1]) > 100
    return [invalid_value(path, value, "must not be greater than 100%")] if above else []


def counts_nothing(value: Any) -> bool:
    """Whether a count or percentage is none at all; what is neither counts nothing."""
    text = str(value or 0).removesuffix("%")
    return not re.fullmatch("[+-]?[0-9]+", text) or int(text) == 0


# Addresses


def canonical_address(text: str) -> list[str]:
    """An address in its one spelling, as new APIs want it."""
    errors = list(addresses.complaints(text))
    found = addresses.parse(text)
    if not errors and str(found) != text:
        return [f'must be in canonical form ("{found}")']
    return errors


def canonical_network(text: str) -> list[str]:
    """A range in its one spelling."""
    if errors := addresses.check_cidr(text, ""):
        return [error.message.removeprefix(f"Invalid value: {show(text)}: ") for error in errors]
    found = addresses.parse_cidr(text)
    whole = "" if found is None else addresses.network(*found)
    return [] if whole == text else [f'must be in canonical form ("{whole}")']


def special_address(text: str) -> list[str]:
    """Why traffic may not be sent to this address."""
    found = addresses.parse(text)
    if found is None:
        return ["must be a valid IP address"]
    errors = []
    if found.is_unspecified:
        errors.append(f"may not be unspecified ({text})")
    if found.is_loopback:
        errors.append("may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if found.is_link_local:
        errors.append("may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    local = "224.0.0.0/24" if found.version == 4 else "ff02::/16"
    if found in ipaddress.ip_network(local):
        errors.append("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
    return errors
