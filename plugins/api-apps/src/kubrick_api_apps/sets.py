"""StatefulSets and DaemonSets: defaults, validation and rows (pkg/apis/apps)."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from kubrick_api.cells import age, containers_and_images, format_label_selector, format_labels
from kubrick_api.equality import same
from kubrick_api.errors import FieldError, forbidden_value, invalid_value, not_supported, required
from kubrick_api.formats import at_most_whole, counts_nothing, int_or_percent, invalids
from kubrick_api.resource import Object, Strategy
from kubrick_api.storage import WriteContext
from kubrick_api.validation import label_selector, name_is_dns_label, non_negative
from kubrick_api_apps.workloads import (
    available_above_ready,
    decremented,
    default_template,
    immutable_selector,
    is_empty,
    not_above,
    old_template,
    parsed,
    shown_selector,
    shown_strategy,
    template_change_warnings,
    validate_counts,
    validate_match,
    validate_required_selector,
    validate_running,
    validate_status_counts,
)
from kubrick_api_core.claim_validation import validate_claim_spec
from kubrick_api_core.pod_validation import validate_pod_template
from kubrick_api_core.pod_warnings import claim_spec_warnings

RETENTION = ("Retain", "Delete")
STATEFUL_COUNTS = ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
DAEMON_COUNTS = (
    "currentNumberScheduled",
    "numberMisscheduled",
    "desiredNumberScheduled",
    "numberReady",
    "observedGeneration",
    "updatedNumberScheduled",
    "numberAvailable",
    "numberUnavailable",
    "collisionCount",
)

UPDATABLE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
STATEFUL_FIXED = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


class StatefulSetStrategy(Strategy):
    has_status = True
    tracks_generation = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if not spec.get("podManagementPolicy"):
            spec["podManagementPolicy"] = "OrderedReady"
        strategy = spec.setdefault("updateStrategy", {})
        if not strategy.get("type"):
            strategy["type"] = "RollingUpdate"
        if strategy["type"] == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            if rolling.get("partition") is None:
                rolling["partition"] = 0
        policy = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
        for name in ("whenDeleted", "whenScaled"):
            if not policy.get(name):
                policy[name] = "Retain"
        if spec.get("replicas") is None:
            spec["replicas"] = 1
        if spec.get("revisionHistoryLimit") is None:
            spec["revisionHistoryLimit"] = 10
        default_template(spec)
        for claim in spec.get("volumeClaimTemplates") or ():
            claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
            claim.setdefault("status", {}).setdefault("phase", "Pending")
        obj.setdefault("status", {}).setdefault("replicas", 0)
        obj["status"].setdefault("availableReplicas", 0)

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        super().prepare_for_create(obj, context)
        obj["status"] = {"replicas": 0, "availableReplicas": 0}

    def validate_name(self, name: str, prefix: bool) -> list[str]:
        return name_is_dns_label(name, prefix)

    def validate(self, obj: Object) -> list[FieldError]:
        return list(_stateful(obj.get("spec") or {}))

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        """Claims and templates were not always checked: what was wrong before may stay."""
        spec, before = obj.get("spec") or {}, old.get("spec") or {}
        return [*_stateful(spec, before), *self.validate_update(obj, old)]

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        claims = enumerate((obj.get("spec") or {}).get("volumeClaimTemplates") or ())
        of_claims = [
            warning
            for i, claim in claims
            for warning in claim_spec_warnings(claim.get("spec") or {}, f"spec.volumeClaimTemplates[{i}].spec")
        ]
        limit = (obj.get("spec") or {}).get("revisionHistoryLimit")
        negative = ["spec.revisionHistoryLimit: a negative value retains all historical revisions"]
        return [*template_change_warnings(obj, old), *of_claims, *(negative if (limit or 0) < 0 else [])]

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        status = obj.get("status") or {}
        return [
            *validate_status_counts(status, "replicas", *STATEFUL_COUNTS, "observedGeneration", "collisionCount"),
            *not_above(status, "replicas", *STATEFUL_COUNTS),
            *available_above_ready(status, "cannot be greater than status.readyReplicas"),
            *decremented(status, old.get("status") or {}),
        ]

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        spec, before = obj.get("spec") or {}, old.get("spec") or {}
        changed = any(not same(spec.get(name), before.get(name)) for name in {*spec, *before} - {*UPDATABLE})
        return [forbidden_value("spec", STATEFUL_FIXED)] if changed else []

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        return [
            obj["metadata"]["name"],
            f"{status.get('readyReplicas') or 0}/{spec.get('replicas') or 0}",
            age(obj, now),
            *containers_and_images((spec.get("template") or {}).get("spec")),
        ]


def _stateful(spec: Object, old: Object | None = None) -> Iterator[FieldError]:
    policy = spec.get("podManagementPolicy")
    if not policy:
        yield required("spec.podManagementPolicy")
    elif policy not in ("OrderedReady", "Parallel"):
        yield invalid_value("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'")
    yield from _update_strategy(spec.get("updateStrategy") or {}, "spec.updateStrategy")
    retention = spec.get("persistentVolumeClaimRetentionPolicy")
    for name in ("whenDeleted", "whenScaled") if retention is not None else ():
        if (retention or {}).get(name) not in RETENTION:
            value = (retention or {}).get(name) or ""
            yield not_supported(f"spec.persistentVolumeClaimRetentionPolicy.{name}", value, RETENTION)
    if old is None:
        claims: list[FieldError] = []
        for i, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
            validate_claim_spec(claim.get("spec") or {}, f"spec.volumeClaimTemplates[{i}].spec", claims)
        yield from claims
    yield from validate_counts(spec, "replicas", "minReadySeconds", "revisionHistoryLimit")
    yield from non_negative((spec.get("ordinals") or {}).get("start") or 0, "spec.ordinals.start")
    if spec.get("serviceName"):
        yield from invalids("spec.serviceName", spec["serviceName"], name_is_dns_label(spec["serviceName"]))
    yield from _stateful_template(spec, old)


def _update_strategy(strategy: Object, at: str) -> Iterator[FieldError]:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if not kind:
        yield required(at)
    elif kind == "OnDelete":
        if rolling is not None:
            shown = {name[0].upper() + name[1:]: value for name, value in rolling.items()}
            yield invalid_value(f"{at}.rollingUpdate", shown, "only allowed for updateStrategy 'RollingUpdate'")
    elif kind != "RollingUpdate":
        yield invalid_value(at, shown_strategy(strategy), "must be 'RollingUpdate' or 'OnDelete'")
    elif rolling is not None:
        yield from non_negative(rolling.get("partition") or 0, f"{at}.rollingUpdate.partition")
        unavailable = rolling.get("maxUnavailable")
        if unavailable is not None:
            here = f"{at}.rollingUpdate.maxUnavailable"
            yield from int_or_percent(unavailable, here)
            if counts_nothing(unavailable):
                yield invalid_value(here, unavailable, "cannot be 0")
            yield from at_most_whole(unavailable, here)


def _stateful_template(spec: Object, old: Object | None) -> Iterator[FieldError]:
    selector, template = spec.get("selector"), spec.get("template") or {}
    yield from validate_required_selector(selector, "statefulset")
    readable = parsed(selector)
    if readable is None:
        yield invalid_value("spec.selector", shown_selector(selector))
    else:
        if selector is None or not is_empty(selector):
            yield from validate_match(template, readable)
        if old is None or not any(template_errors(old)):
            yield from template_errors(spec, old)
    yield from validate_running(template, "StatefulSet")


def template_errors(spec: Object, old: Object | None = None) -> Iterator[FieldError]:
    """The pods' template, with a volume for each claim that every pod will have."""
    template = spec.get("template") or {}
    pods = template.get("spec") or {}
    known = {volume.get("name") for volume in pods.get("volumes") or ()}
    names = [(claim.get("metadata") or {}).get("name") or "" for claim in spec.get("volumeClaimTemplates") or ()]
    claimed = [{"name": n, "persistentVolumeClaim": {"claimName": n}} for n in dict.fromkeys(names) if n not in known]
    volumes = [*(pods.get("volumes") or ()), *claimed]
    whole = {**template, "spec": {**pods, "volumes": volumes}} if volumes else template
    yield from validate_pod_template(whole, "spec.template", old_template(old))


class DaemonSetStrategy(Strategy):
    has_status = True
    tracks_generation = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        strategy = spec.setdefault("updateStrategy", {})
        if not strategy.get("type"):
            strategy["type"] = "RollingUpdate"
        if strategy["type"] == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            if rolling.get("maxUnavailable") is None:
                rolling["maxUnavailable"] = 1
            if rolling.get("maxSurge") is None:
                rolling["maxSurge"] = 0
        if spec.get("revisionHistoryLimit") is None:
            spec["revisionHistoryLimit"] = 10
        default_template(spec)
        _zero(obj.setdefault("status", {}))

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        super().prepare_for_create(obj, context)
        obj["status"] = _zero({})

    def validate(self, obj: Object) -> list[FieldError]:
        return list(_daemon(obj.get("spec") or {}))

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        spec, before = obj.get("spec") or {}, old.get("spec") or {}
        return [*_daemon(spec, before), *self.validate_update(obj, old)]

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return list(immutable_selector(obj, old))

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        return template_change_warnings(obj, old)

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        status = obj.get("status") or {}
        return [*_daemon_status(status), *decremented(status, old.get("status") or {})]

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        template = (spec.get("template") or {}).get("spec") or {}
        return [
            obj["metadata"]["name"],
            status.get("desiredNumberScheduled") or 0,
            status.get("currentNumberScheduled") or 0,
            status.get("numberReady") or 0,
            status.get("updatedNumberScheduled") or 0,
            status.get("numberAvailable") or 0,
            format_labels(template.get("nodeSelector")),
            age(obj, now),
            *containers_and_images(template),
            format_label_selector(spec.get("selector")),
        ]


def _zero(status: Object) -> Object:
    """The counts that are always there."""
    for name in ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"):
        status.setdefault(name, 0)
    return status


def _daemon(spec: Object, old: Object | None = None) -> Iterator[FieldError]:
    selector, template = spec.get("selector"), spec.get("template") or {}
    yield from label_selector(selector, "spec.selector")
    readable = parsed(selector)
    if readable is not None:
        yield from validate_match(template, readable)
    if selector is not None and is_empty(selector):
        yield invalid_value("spec.selector", shown_selector(selector), "empty selector is invalid for daemonset")
    yield from validate_pod_template(template, "spec.template", old_template(old))
    yield from validate_running(template, "DaemonSet")
    yield from validate_counts(spec, "minReadySeconds")
    yield from _daemon_strategy(spec.get("updateStrategy") or {}, "spec.updateStrategy")
    yield from validate_counts(spec, "revisionHistoryLimit")


def _daemon_strategy(strategy: Object, at: str) -> Iterator[FieldError]:
    if strategy.get("type") == "OnDelete":
        return
    if strategy.get("type") != "RollingUpdate":
        yield not_supported(at, shown_strategy(strategy), ("RollingUpdate", "OnDelete"))
        return
    rolling = strategy.get("rollingUpdate")
    if rolling is None:
        yield required(f"{at}.rollingUpdate")
        return
    names, here = ("maxUnavailable", "maxSurge"), f"{at}.rollingUpdate"
    for check in (int_or_percent, at_most_whole):
        for name in names:
            yield from check(rolling.get(name), f"{here}.{name}")
    unavailable, surge = (counts_nothing(rolling.get(name)) for name in names)
    if unavailable and surge:
        yield required(f"{here}.maxUnavailable", "cannot be 0 when maxSurge is 0")
    elif not unavailable and not surge:
        why = "may not be set when maxUnavailable is non-zero"
        yield invalid_value(f"{here}.maxSurge", rolling["maxSurge"], why)


def _daemon_status(status: Object) -> Iterator[FieldError]:
    yield from validate_status_counts(status, *DAEMON_COUNTS)
