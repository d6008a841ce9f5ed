"""What Deployments, ReplicaSets, StatefulSets and DaemonSets have in common: a selector and a template."""

import re
from collections.abc import Iterator
from typing import Any

from kubrick_api.equality import same
from kubrick_api.errors import FieldError, forbidden_value, invalid_value, not_supported, required
from kubrick_api.resource import Object
from kubrick_api.selectors import SelectorError, from_label_selector
from kubrick_api.validation import IMMUTABLE, label_selector, non_negative
from kubrick_api_core.pod_defaults import default_pod_template
from kubrick_api_core.pod_validation import validate_pod_template

Errors = Iterator[FieldError]

PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for "
    "validation is '[0-9]+%')"
)
IN_WHOLE = "must not be greater than 100%"


def default_template(spec: Object) -> None:
    default_pod_template(spec.setdefault("template", {}))


def validate_selector_and_template(spec: Object, empty: str, *, check_policy: bool = True) -> Errors:
    """`empty` names what an empty selector would be invalid for: "deployment"."""
    selector = spec.get("selector")
    if selector is None:
        yield required("spec.selector")
    else:
        yield from label_selector(selector, "spec.selector")
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            yield invalid_value("spec.selector", selector, f"empty selector is invalid for {empty}")
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels")
    try:
        matches = from_label_selector(selector).matches(labels)
    except SelectorError:
        yield invalid_value("spec.selector", selector, "invalid label selector")
    else:
        if not matches:
            yield invalid_value("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    yield from validate_pod_template(template, "spec.template")
    pod_spec = template.get("spec") or {}
    if check_policy and pod_spec.get("restartPolicy") not in (None, "Always"):
        yield not_supported("spec.template.spec.restartPolicy", pod_spec["restartPolicy"], ("Always",))
    if pod_spec.get("activeDeadlineSeconds") is not None:
        kind = {"deployment": "ReplicaSet", "statefulset": "StatefulSet", "daemonset": "DaemonSet"}[empty]
        yield forbidden_value(
            "spec.template.spec.activeDeadlineSeconds", f"activeDeadlineSeconds in {kind} is not Supported"
        )


def validate_counts(spec: Object, *names: str) -> Errors:
    for name in names:
        if spec.get(name) is not None:
            yield from non_negative(spec[name], f"spec.{name}")


def immutable_selector(obj: Object, old: Object) -> Errors:
    selector = obj["spec"].get("selector")
    if not same(selector, old["spec"].get("selector")):
        yield invalid_value("spec.selector", selector, IMMUTABLE)


def int_or_percent(value: Any, path: str) -> Errors:
    """A count, not negative, or a percentage."""
    if isinstance(value, str):
        if not re.fullmatch(r"[0-9]+%", value):
            yield invalid_value(path, value, PERCENT)
    elif value is not None:
        yield from non_negative(value, path)


def at_most_whole(value: Any, path: str) -> Errors:
    if isinstance(value, str) and re.fullmatch(r"[0-9]+%", value) and int(value[:-1]) > 100:
        yield invalid_value(path, value, IN_WHOLE)


def is_zero(value: Any) -> bool:
    """Whether a count or percentage is none at all."""
    text = str(value or 0)
    return bool(re.fullmatch(r"0+%?", text))


def validate_status_counts(status: Object, *names: str) -> Errors:
    for name in names:
        if status.get(name) is not None:
            yield from non_negative(status[name], f"status.{name}")


def not_above(status: Object, limit: str, *names: str) -> Errors:
    """These counts are parts of that one."""
    for name in names:
        if (status.get(name) or 0) > (status.get(limit) or 0):
            yield invalid_value(f"status.{name}", status[name], f"cannot be greater than status.{limit}")
