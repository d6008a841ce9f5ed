"""Jobs: defaults, the generated selector, validation and rows. From pkg/apis/batch.

A job's pods are told from others by labels with the job's own uid: unless manualSelector is set, the
server puts them into the template and selects by them.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from kubrick_api.cells import age, containers_and_images, format_label_selector, parse_time
from kubrick_api.equality import same
from kubrick_api.errors import FieldError, invalid_value, not_supported, required
from kubrick_api.resource import Object, Strategy
from kubrick_api.selectors import SelectorError, from_label_selector
from kubrick_api.storage import WriteContext
from kubrick_api.table import human_duration
from kubrick_api.validation import IMMUTABLE, label_selector, labels, non_negative
from kubrick_api_core.pod_defaults import default_pod_template
from kubrick_api_core.pod_validation import validate_pod_template

UID_LABEL, NAME_LABEL = "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"
OLD_UID_LABEL, OLD_NAME_LABEL = "controller-uid", "job-name"
COUNTS = ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished")
FIXED = ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy", "selector")


class JobStrategy(Strategy):
    has_status = True
    tracks_generation = True

    def default(self, obj: Object) -> None:
        default_job_spec(obj.setdefault("spec", {}))
        template_labels = obj["spec"]["template"]["metadata"].get("labels")
        if not obj["metadata"].get("labels") and template_labels:
            obj["metadata"]["labels"] = dict(template_labels)

    def prepare_for_create(self, obj: Object, context: WriteContext) -> None:
        super().prepare_for_create(obj, context)
        if not obj["spec"].get("manualSelector"):
            generate_selector(obj)
            self.default(obj)  # the job wears the labels its template has got

    def validate(self, obj: Object) -> list[FieldError]:
        return list(_validate(obj))

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return list(_update(obj.get("spec") or {}, old.get("spec") or {}))

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        return {"status.successful": str((obj.get("status") or {}).get("succeeded") or 0)}

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return job_row(obj, now)


def default_job_spec(spec: Object) -> None:
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    if spec.get("parallelism") is None:
        spec["parallelism"] = 1
    if spec.get("backoffLimit") is None:
        spec["backoffLimit"] = 2**31 - 1 if spec.get("backoffLimitPerIndex") is not None else 6
    if spec.get("completionMode") is None:
        spec["completionMode"] = "NonIndexed"
    if spec.get("suspend") is None:
        spec["suspend"] = False
    if spec.get("manualSelector") is None:
        spec["manualSelector"] = False
    if spec.get("podReplacementPolicy") is None:
        replace_failed = spec.get("podFailurePolicy") is not None
        spec["podReplacementPolicy"] = "Failed" if replace_failed else "TerminatingOrFailed"
    for rule in (spec.get("podFailurePolicy") or {}).get("rules") or ():
        for pattern in rule.get("onPodConditions") or ():
            if not pattern.get("status"):
                pattern["status"] = "True"
    default_pod_template(spec.setdefault("template", {}))


def generate_selector(job: Object) -> None:
    """Labels in the template and a selector that no other job's pods match."""
    uid, name = job["metadata"]["uid"], job["metadata"].get("name", "")
    found = job["spec"]["template"]["metadata"].setdefault("labels", {})
    for key, value in (
        (NAME_LABEL, name),
        (UID_LABEL, uid),
        (OLD_NAME_LABEL, name),
        (OLD_UID_LABEL, uid),
    ):
        found.setdefault(key, value)
    if job["spec"].get("selector") is None:
        job["spec"]["selector"] = {"matchLabels": {UID_LABEL: uid}}


def _validate(job: Object) -> Iterator[FieldError]:
    spec = job.get("spec") or {}
    yield from validate_job_spec(spec, "spec")
    selector = spec.get("selector")
    if selector is None:
        yield required("spec.selector")
        return
    yield from label_selector(selector, "spec.selector")
    own = (spec["template"].get("metadata") or {}).get("labels") or {}
    if not spec.get("manualSelector"):
        uid = job["metadata"].get("uid", "")
        for key in (UID_LABEL, OLD_UID_LABEL):
            if key in own and own[key] != uid:
                yield invalid_value(f"spec.template.metadata.labels[{key}]", own, f"must be '{uid}'")
    try:
        matches = from_label_selector(selector).matches(own)
    except SelectorError:
        return
    if not matches:
        yield invalid_value("spec.template.metadata.labels", own, "`selector` does not match template `labels`")


def validate_job_spec(spec: Object, path: str) -> Iterator[FieldError]:
    """What a Job and a CronJob's template must keep to; a selector is the Job's own affair."""
    for name in COUNTS:
        if spec.get(name) is not None:
            yield from non_negative(spec[name], f"{path}.{name}")
    mode = spec.get("completionMode")
    if mode not in ("Indexed", "NonIndexed"):
        yield not_supported(f"{path}.completionMode", mode, ("Indexed", "NonIndexed"))
    if mode == "Indexed" and spec.get("completions") is None:
        yield required(f"{path}.completions", "when completion mode is Indexed")
    template = spec.get("template") or {}
    yield from labels((template.get("metadata") or {}).get("labels"), f"{path}.template.metadata.labels")
    yield from validate_pod_template(template, f"{path}.template")
    policy = (template.get("spec") or {}).get("restartPolicy")
    if not policy or policy == "Always":
        yield required(f"{path}.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        yield not_supported(f"{path}.template.spec.restartPolicy", policy, ("OnFailure", "Never"))
    elif spec.get("podFailurePolicy") is not None and policy != "Never":
        why = 'only "Never" is supported when podFailurePolicy is specified'
        yield invalid_value(f"{path}.template.spec.restartPolicy", policy, why)


def _update(spec: Object, old: Object) -> Iterator[FieldError]:
    elastic = spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")
    if spec.get("completions") != old.get("completions") and not elastic:
        yield invalid_value("spec.completions", spec.get("completions"), IMMUTABLE)
    for name in FIXED:
        if not same(spec.get(name), old.get(name)):
            yield invalid_value(f"spec.{name}", spec.get(name), IMMUTABLE)
    template, before = spec.get("template") or {}, old.get("template") or {}
    if old.get("suspend"):
        # A suspended job may still change where its pods will go.
        template = _without_placement(template)
        before = _without_placement(before)
    if not same(template, before):
        yield invalid_value("spec.template", spec.get("template"), IMMUTABLE)


def _without_placement(template: Object) -> Object:
    spec = dict(template.get("spec") or {})
    for name in ("nodeSelector", "tolerations", "affinity", "schedulingGates"):
        spec.pop(name, None)
    return {"spec": spec}


def job_row(job: Object, now: datetime) -> list[Any]:
    """Name, Status, Completions, Duration, Age, Containers, Images, Selector."""
    spec, status = job.get("spec") or {}, job.get("status") or {}
    done = status.get("succeeded") or 0
    if spec.get("completions") is not None:
        completions = f"{done}/{spec['completions']}"
    elif (parallelism := spec.get("parallelism") or 0) > 1:
        completions = f"{done}/1 of {parallelism}"
    else:
        completions = f"{done}/1"
    duration = ""
    if start := status.get("startTime"):
        end = parse_time(status["completionTime"]) if status.get("completionTime") else now
        duration = human_duration((end - parse_time(start)).total_seconds())
    return [
        job["metadata"]["name"],
        _state(job, spec, status),
        completions,
        duration,
        age(job, now),
        *containers_and_images((spec.get("template") or {}).get("spec")),
        format_label_selector(spec.get("selector")),
    ]


def _state(job: Object, spec: Object, status: Object) -> str:
    true = {c.get("type") for c in status.get("conditions") or () if c.get("status") == "True"}
    if "Complete" in true:
        return "Complete"
    if "Failed" in true:
        return "Failed"
    if job["metadata"].get("deletionTimestamp"):
        return "Terminating"
    if "Suspended" in true:
        return "Suspended"
    if "FailureTarget" in true:
        return "FailureTarget"
    return "SuccessCriteriaMet" if "SuccessCriteriaMet" in true else "Running"
