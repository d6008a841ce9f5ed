"""Jobs: defaults, the generated selector, validation and rows. From pkg/apis/batch.

A job's pods are told from others by labels with the job's own uid: unless manualSelector is set, the
server puts them into the template and selects by them.
"""

from datetime import datetime
from typing import Any

from kubrick_api.cells import age, containers_and_images, format_label_selector, parse_time
from kubrick_api.errors import FieldError
from kubrick_api.resource import Object, Strategy
from kubrick_api.storage import WriteContext
from kubrick_api.table import human_duration
from kubrick_api.validation import label
from kubrick_api_batch.job_status import validate_job_status
from kubrick_api_batch.job_validation import (
    NAME_LABEL,
    OLD_NAME_LABEL,
    OLD_UID_LABEL,
    UID_LABEL,
    validate_job,
    validate_job_update,
    validate_selected_spec,
)
from kubrick_api_core.pod_defaults import default_pod_template

HOSTNAMES = (
    "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is "
    "recommended"
)
MANY_INDEXES = (
    "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes "
    "might not be able to track completedIndexes when a big number of indexes fail"
)


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
        return list(validate_job(obj))

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        """Kubernetes looks at the whole job, then at its spec again, then at the change."""
        before = old.get("spec") or {}
        labels = ((before.get("template") or {}).get("metadata") or {}).get("labels") or {}
        errors = list(validate_job(obj, NAME_LABEL in labels and UID_LABEL in labels, before))
        again = list(validate_selected_spec(obj.get("spec") or {}, "spec", before)) if errors else []
        return [*errors, *again, *validate_job_update(obj, old)]

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return list(validate_job_status(obj, old))

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        changed = old is None or obj["metadata"].get("generation") != old["metadata"].get("generation")
        return [*(name_warnings(obj) if old is None else ()), *(spec_warnings(obj["spec"], "spec") if changed else ())]

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        return {"status.successful": str((obj.get("status") or {}).get("succeeded") or 0)}

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return job_row(obj, now)


def name_warnings(obj: Object) -> list[str]:
    """A job's name becomes its pods' and their hosts'."""
    wrong = label(obj["metadata"].get("name") or "")
    return [f"{HOSTNAMES}: [{' '.join(wrong)}]"] if wrong else []


def spec_warnings(spec: Object, path: str) -> list[str]:
    from kubrick_api_core.pod_warnings import template_warnings

    many = (spec.get("completions") or 0) > 100_000 and (spec.get("parallelism") or 0) > 10_000
    said = [f"{path}: {MANY_INDEXES}"] if many and spec.get("completionMode") == "Indexed" else []
    return [*said, *template_warnings(spec.get("template") or {}, f"{path}.template")]


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
    metadata = job["spec"]["template"]["metadata"]
    found = metadata["labels"] = metadata.get("labels") or {}
    for key, value in (
        (NAME_LABEL, name),
        (UID_LABEL, uid),
        (OLD_NAME_LABEL, name),
        (OLD_UID_LABEL, uid),
    ):
        found.setdefault(key, value)
    selector = job["spec"].get("selector")
    job["spec"]["selector"] = selector = {} if selector is None else selector
    if selector.get("matchLabels") is None:
        selector["matchLabels"] = {}
    selector["matchLabels"].setdefault(UID_LABEL, uid)


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
