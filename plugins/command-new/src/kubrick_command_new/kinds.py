"""The kinds of package there are, and the names a package is spelled with."""

import re
from collections.abc import Mapping

from attrs import frozen


@frozen
class Kind:
    """One kind of plugin package. Its files are in ``templates/<name>/``; `prefix` begins the entry
    point's name where the kernel goes by it."""

    name: str
    description: str
    dependencies: tuple[str, ...]
    prefix: str = ""


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "scheduler-plugin",
            "A scheduler plugin that keeps pods off nodes without a label.",
            ("kubrick-kernel", "kubrick-scheduler", "attrs"),
        ),
        Kind(
            "controller",
            "A controller that writes a Service's number of endpoints on it.",
            ("kubrick-kernel", "kubrick-api", "kubrick-api-core", "kubrick-client", "kubrick-controller"),
        ),
        Kind(
            "admission-plugin",
            "An admission plugin that gives every pod a label and refuses one image tag.",
            ("kubrick-kernel", "kubrick-api", "kubrick-api-core", "kubrick-apiserver", "attrs"),
        ),
        Kind("store", "A storage engine.", ("kubrick-kernel",), prefix="store-"),
        Kind("api-group", "An API group with one resource.", ("kubrick-kernel", "kubrick-api")),
    )
}

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def names(kind: Kind, name: str) -> Mapping[str, str]:
    """What the templates' placeholders stand for, for a package called `name` ("acme-gpu-filter")."""
    words = name.split("-")
    return {
        "name": name,
        "package": name.replace("-", "_"),
        "plugin": name if name.startswith(kind.prefix) else kind.prefix + name,
        "choice": name.removeprefix(kind.prefix),
        "Class": "".join(word.capitalize() for word in words),
        "words": " ".join(words),
        "plural": "".join(words) + "s",
        "singular": "".join(words),
        "description": kind.description,
        "dependencies": ", ".join(f'"{dependency}"' for dependency in kind.dependencies),
    }
