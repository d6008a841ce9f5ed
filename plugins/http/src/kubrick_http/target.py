"""A request's target, taken apart."""

from collections.abc import Mapping
from urllib.parse import unquote, unquote_plus

Target = tuple[str, Mapping[str, str], Mapping[str, tuple[str, ...]]]


def split_target(target: str) -> Target:
    """Path (percent-decoded), query (last values) and query (those that are repeated). Raises ValueError."""
    if not target.startswith("/"):
        scheme, separator, rest = target.partition("://")
        if separator and scheme in ("http", "https"):
            target = "/" + rest.partition("/")[2]
    raw, _, rest = target.partition("?")
    path = unquote(raw) if "%" in raw else raw
    if "\0" in path:
        raise ValueError("invalid character in URL")
    query: dict[str, str] = {}
    repeated: dict[str, list[str]] = {}
    if rest:
        for pair in rest.partition("#")[0].split("&"):
            if not pair:
                continue
            key, _, value = pair.partition("=")
            key, value = unquote_plus(key), unquote_plus(value)
            if key in query:
                if key in repeated:
                    repeated[key].append(value)
                else:
                    repeated[key] = [query[key], value]
            query[key] = value
    return path, query, {key: tuple(values) for key, values in repeated.items()}


def flag(query: Mapping[str, str], name: str) -> bool:
    """A boolean parameter: absent, "0" and "false" are false, everything else is true."""
    value = query.get(name)
    return value is not None and value != "0" and value.lower() != "false"
