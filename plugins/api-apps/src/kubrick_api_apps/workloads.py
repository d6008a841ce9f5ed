"""What Deployments, ReplicaSets, StatefulSets and DaemonSets have in common: a selector and a template.

Paths, order and wording are those of pkg/apis/apps/validation.
"""

from collections.abc import Iterator
from typing import Any

from kubrick_api.equality import same
from kubrick_api.errors import NIL, FieldError, forbidden_value, invalid_value, not_supported, required
from kubrick_api.resource import Object
from kubrick_api.selectors import LabelSelector, SelectorError, from_label_selector
from kubrick_api.validation import IMMUTABLE, label_selector, non_negative
from kubrick_api_core.pod_defaults import default_pod_template
from kubrick_api_core.pod_validation import validate_pod_template

Errors = Iterator[FieldError]

NO_MATCH = "`selector` does not match template `labels`"


def default_template(spec: Object) -> None:
    default_pod_template(spec.setdefault("template", {}))


def parsed(selector: Object | None) -> LabelSelector | None:
    """The selector, None when it can't be read."""
    try:
        return from_label_selector(selector)
    except SelectorError:
        return None


def validate_required_selector(selector: Object | None, empty: str) -> Errors:
    """`empty` names what an empty selector would be invalid for: "deployment"."""
    if selector is None:
        yield required("spec.selector")
        return
    yield from label_selector(selector, "spec.selector")
    if is_empty(selector):
        yield invalid_value("spec.selector", shown_selector(selector), f"empty selector is invalid for {empty}")


def is_empty(selector: Object) -> bool:
    return not selector.get("matchLabels") and not selector.get("matchExpressions")


def validate_selector_and_template(spec: Object, old: Object | None = None) -> Errors:
    """Of Deployments and ReplicaSets; `old` is the spec it replaces."""
    selector, template = spec.get("selector"), spec.get("template") or {}
    yield from validate_required_selector(selector, "deployment")
    readable = parsed(selector)
    if readable is None:
        yield invalid_value("spec.selector", shown_selector(selector), "invalid label selector")
        return
    if selector is None or not is_empty(selector):
        yield from validate_match(template, readable)
    yield from validate_pod_template(template, "spec.template", old_template(old))
    yield from validate_running(template, "ReplicaSet")


def old_template(old: Object | None) -> Object | None:
    """The template of a spec that is replaced: what was wrong with it may stay."""
    return None if old is None else old.get("template") or {}


def template_change_warnings(obj: Object, old: Object | None, path: str = "spec.template") -> list[str]:
    """What there is to say of a template that is new or has changed."""
    from kubrick_api_core.pod_warnings import template_warnings

    template, before = ((each or {}).get("spec", {}).get("template") for each in (obj, old))
    return [] if not template or (old is not None and same(template, before)) else template_warnings(template, path)


def sorted_map(values: Object | None) -> Any:
    """A map as errors show it: Go sorts its keys."""
    return {key: values[key] for key in sorted(values)} if values else NIL


def shown_selector(selector: Object | None) -> Any:
    """A LabelSelector in its fields' order."""
    if selector is None:
        return NIL
    expressions = [
        {"key": each.get("key") or "", "operator": each.get("operator") or ""}
        | ({"values": each["values"]} if each.get("values") else {})
        for each in selector.get("matchExpressions") or ()
    ]
    shown = {"matchLabels": sorted_map(selector.get("matchLabels")), "matchExpressions": expressions}
    return {name: value for name, value in shown.items() if value}


def validate_match(template: Object, selector: LabelSelector) -> Errors:
    labels = (template.get("metadata") or {}).get("labels")
    if not selector.matches(labels or {}):
        yield invalid_value("spec.template.metadata.labels", sorted_map(labels), NO_MATCH)


def validate_running(template: Object, kind: str) -> Errors:
    """Pods of these kinds run for ever."""
    spec, path = template.get("spec") or {}, "spec.template.spec"
    if spec.get("restartPolicy") != "Always":
        yield not_supported(f"{path}.restartPolicy", spec.get("restartPolicy") or "", ("Always",))
    if spec.get("activeDeadlineSeconds") is not None:
        yield forbidden_value(f"{path}.activeDeadlineSeconds", f"activeDeadlineSeconds in {kind} is not Supported")


def validate_counts(spec: Object, *names: str) -> Errors:
    for name in names:
        if spec.get(name) is not None:
            yield from non_negative(spec[name], f"spec.{name}")


def immutable_selector(obj: Object, old: Object) -> Errors:
    selector = obj["spec"].get("selector")
    if not same(selector, old["spec"].get("selector")):
        yield invalid_value("spec.selector", shown_selector(selector), IMMUTABLE)


def validate_status_counts(status: Object, *names: str) -> Errors:
    for name in names:
        if status.get(name) is not None:
            yield from non_negative(status[name], f"status.{name}")


def not_above(status: Object, limit: str, *names: str) -> Errors:
    """These counts are parts of that one."""
    for name in names:
        if (status.get(name) or 0) > (status.get(limit) or 0):
            yield invalid_value(f"status.{name}", status.get(name) or 0, f"cannot be greater than status.{limit}")


def available_above_ready(status: Object, text: str = "cannot be greater than readyReplicas") -> Errors:
    if (status.get("availableReplicas") or 0) > (status.get("readyReplicas") or 0):
        yield invalid_value("status.availableReplicas", status["availableReplicas"], text)


def decremented(status: Object, old: Object) -> Errors:
    """Collisions only ever get more."""
    collisions, before = status.get("collisionCount"), old.get("collisionCount")
    if before is not None and (collisions is None or collisions < before):
        yield invalid_value("status.collisionCount", collisions or 0, "cannot be decremented")


def shown_strategy(strategy: Object) -> Object:
    """A strategy as Kubernetes shows it in errors: its internal type, whose fields have their names in Go."""
    rolling = strategy.get("rollingUpdate")
    go = None if rolling is None else {name[0].upper() + name[1:]: value for name, value in rolling.items()}
    return {"Type": strategy.get("type") or "", "RollingUpdate": go}
