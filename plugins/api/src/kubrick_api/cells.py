"""What several kinds' table cells have in common: ages, selectors, containers and images.

Texts are those of kube-apiserver's printers: "<none>", "<unknown>", "5d3h", "app=web,tier in (a,b)".
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

NONE = "<none>"
UNKNOWN = "<unknown>"


def parse_time(text: str) -> datetime:
    """A Time or MicroTime as written in objects."""
    return datetime.fromisoformat(text)


def since(text: str | None, now: datetime) -> str:
    """How long ago a timestamp was: "5m", "3d2h"; "<unknown>" without one."""
    from kubrick_api.table import human_duration

    return human_duration((now - parse_time(text)).total_seconds()) if text else UNKNOWN


def age(obj: dict[str, Any], now: datetime) -> str:
    """An object's age."""
    return since(obj["metadata"].get("creationTimestamp"), now)


def or_none(text: Any) -> str:
    return str(text) if text not in (None, "") else NONE


def format_labels(labels: Mapping[str, str] | None) -> str:
    """ "a=b,c=d", sorted; "<none>" when empty."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def format_requirement(requirement: Mapping[str, Any]) -> str:
    key, values = requirement.get("key", ""), ",".join(sorted(requirement.get("values") or ()))
    match requirement.get("operator"):
        case "In":
            return f"{key} in ({values})"
        case "NotIn":
            return f"{key} notin ({values})"
        case "DoesNotExist":
            return f"!{key}"
    return str(key)


def selector_text(selector: Mapping[str, Any] | None) -> str:
    """A metav1.LabelSelector in the syntax of ?labelSelector=; "" when it selects everything."""
    selector = selector or {}
    parts = [(key, f"{key}={value}") for key, value in (selector.get("matchLabels") or {}).items()]
    parts += [(one.get("key", ""), format_requirement(one)) for one in selector.get("matchExpressions") or ()]
    return ",".join(text for _, text in sorted(parts))


def format_label_selector(selector: Mapping[str, Any] | None) -> str:
    """The same for a table cell."""
    return selector_text(selector) or NONE


def containers_and_images(pod_spec: Mapping[str, Any] | None) -> list[str]:
    """The two wide cells of everything that runs pods: container names and images."""
    containers = (pod_spec or {}).get("containers") or ()
    return [",".join(c.get("name", "") for c in containers), ",".join(c.get("image", "") for c in containers)]


def joined(values: Iterable[str], limit: int) -> str:
    """At most `limit` values, then " + N more..."."""
    values = list(values)
    text = ",".join(values[:limit])
    return f"{text} + {len(values) - limit} more..." if len(values) > limit else text
