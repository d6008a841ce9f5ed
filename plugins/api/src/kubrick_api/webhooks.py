"""Where a webhook lives: the checks that admission webhooks and conversion webhooks share.

From apiserver's util/webhook.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from kubrick_api.errors import FieldError, invalid_value, required
from kubrick_api.formats import port_number
from kubrick_api.validation import subdomain

FORM = "; desired format: https://host[/path]"
ONE_OF = "exactly one of url or service is required"


def validate_client_config(config: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    """A WebhookClientConfig: a URL or a service."""
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        yield required(path, ONE_OF)
    elif url is not None:
        yield from validate_url(url, f"{path}.url")
    elif service is not None:
        yield from validate_service(service, f"{path}.service")


def _unparsable(url: str) -> str:
    """Go's complaint about a text that is no URL."""
    if re.search(r"[\x00-\x1f\x7f]", url):
        return f'parse "{url}": net/url: invalid control character in URL'
    if url.startswith(":"):
        return f'parse "{url}": missing protocol scheme'
    if bad := re.search("%(?![0-9A-Fa-f]{2})", url):
        return f'parse "{url}": invalid URL escape "{url[bad.start() : bad.start() + 3]}"'
    try:
        _ = urlsplit(url).port
    except ValueError:
        return f'parse "{url}": invalid port "{url[url.rfind(":") :].split("/")[0]}" after host'
    return ""


def validate_url(url: str, path: str) -> Iterator[FieldError]:
    if why := _unparsable(url):
        yield required(path, f"url must be a valid URL: {why}{FORM}")
        return
    parts = urlsplit(url)
    if parts.scheme != "https":
        yield invalid_value(path, parts.scheme, f"'https' is the only allowed URL scheme{FORM}")
    user, at, host = parts.netloc.rpartition("@")
    if not host:
        yield invalid_value(path, host, f"host must be specified{FORM}")
    if at:
        yield invalid_value(path, user, "user information is not permitted in the URL")
    if parts.fragment:
        yield invalid_value(path, parts.fragment, "fragments are not permitted in the URL")
    if parts.query:
        yield invalid_value(path, parts.query, "query parameters are not permitted in the URL")


def validate_service(service: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    """A reference to a service, its port defaulted."""
    for name in ("name", "namespace"):
        if not service.get(name):
            yield required(f"{path}.{name}", f"service {name} is required")
    port = service.get("port") or 0
    if errors := port_number(port):
        yield invalid_value(f"{path}.port", port, f"port is not valid: {','.join(errors)}")
    if service.get("path") not in (None, "", "/"):
        yield from _validate_path(service["path"], f"{path}.path")


def _validate_path(text: str, path: str) -> Iterator[FieldError]:
    if text == "//":
        yield invalid_value(path, text, "segment[0] may not be empty")
        return
    if not text.startswith("/"):
        yield invalid_value(path, text, "must start with a '/'")
    for i, step in enumerate(text[1:].removesuffix("/").split("/")):
        if not step:
            yield invalid_value(path, text, f"segment[{i}] may not be empty")
        for why in subdomain(step) if step else ():
            yield invalid_value(path, text, f"segment[{i}]: {why}")
