"""What a pod can be told of itself (the downward API): fieldRef and resourceFieldRef. Pure.

Source: the kubelet's pkg/fieldpath and pkg/api/v1/resource; the text form of labels and annotations is one
``key="quoted value"`` a line, sorted, quoted as Go does.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kubrick_api.quantity import Quantity

Object = dict[str, Any]

RESOURCES = ("cpu", "memory", "ephemeral-storage")
_SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['(.*)'\]$")
_SHORT = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}


class FieldError(ValueError):
    """A field that can't be had, in the kubelet's words."""


def field_value(pod: Object, path: str, host_ip: str = "", ips: Sequence[str] = ()) -> str:
    """The text of a fieldRef. `ips` are the pod's. Raises `FieldError`."""
    metadata, spec = pod["metadata"], pod["spec"]
    subscript = _SUBSCRIPT.match(path)
    if subscript:
        value: str = (metadata.get(subscript[1]) or {}).get(subscript[2], "")
        return value
    if path in ("metadata.labels", "metadata.annotations"):
        return map_text(metadata.get(path[9:]) or {})
    if path in ("metadata.name", "metadata.namespace", "metadata.uid"):
        return str(metadata.get(path[9:], ""))
    if path == "spec.nodeName":
        return str(spec.get("nodeName", ""))
    if path == "spec.serviceAccountName":
        return str(spec.get("serviceAccountName", ""))
    if path in ("status.hostIP", "status.hostIPs"):
        return host_ip
    if path == "status.podIP":
        return ips[0] if ips else ""
    if path == "status.podIPs":
        return ",".join(ips)
    raise FieldError(f"unsupported fieldPath: {path}")


def map_text(values: Mapping[str, str]) -> str:
    return "\n".join(f"{key}={go_quote(value)}" for key, value in sorted(values.items()))


def go_quote(text: str) -> str:
    """As Go's %q writes a string."""
    out = []
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif char in _SHORT:
            out.append(_SHORT[char])
        elif char.isprintable():
            out.append(char)
        elif ord(char) < 0x80:
            out.append(f"\\x{ord(char):02x}")
        elif ord(char) < 0x10000:
            out.append(f"\\u{ord(char):04x}")
        else:
            out.append(f"\\U{ord(char):08x}")
    return f'"{"".join(out)}"'


def container_named(pod: Object, name: str) -> Object:
    spec = pod["spec"]
    for listed in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(listed) or ():
            if container["name"] == name:
                found: Object = container
                return found
    raise FieldError(f"container {name} not found")


def resource_value(container: Object, reference: Object, allocatable: Mapping[str, str]) -> str:
    """The number of a resourceFieldRef: the limit or request in units of the divisor, rounded up. A limit that
    is not set is what the node has. Raises `FieldError`."""
    resource: str = reference["resource"]
    kind, _, name = resource.partition(".")
    if kind not in ("limits", "requests") or not (name in RESOURCES or name.startswith("hugepages-")):
        raise FieldError(f"unsupported container resource : {resource}")
    text = ((container.get("resources") or {}).get(kind) or {}).get(name)
    if text is None and kind == "limits":
        text = allocatable.get(name)
    amount = Quantity(text if text is not None else "0")
    divisor = Quantity(reference.get("divisor") or "1")
    if not divisor:
        divisor = Quantity("1")
    if name == "cpu":
        return str(-(-amount.milli // max(divisor.milli, 1)))
    return str(-(-amount.value // max(divisor.value, 1)))
