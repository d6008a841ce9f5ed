"""CronJobs: defaults, validation and rows. From pkg/apis/batch."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from kubrick_api.cells import NONE, age, containers_and_images, format_label_selector, since
from kubrick_api.errors import FieldError, forbidden_value, invalid_value, not_supported, required
from kubrick_api.resource import Object, Strategy
from kubrick_api.validation import non_negative
from kubrick_api_batch.jobs import default_job_spec, validate_job_spec

NAME_LIMIT = 52  # the jobs' names add eleven characters
POLICIES = ("Allow", "Forbid", "Replace")
COUNTS = ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")
FIELDS = 5


class CronJobStrategy(Strategy):
    has_status = True
    tracks_generation = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if not spec.get("concurrencyPolicy"):
            spec["concurrencyPolicy"] = "Allow"
        for name, value in (("suspend", False), ("successfulJobsHistoryLimit", 3), ("failedJobsHistoryLimit", 1)):
            if spec.get(name) is None:
                spec[name] = value
        template = spec.setdefault("jobTemplate", {})
        template.setdefault("metadata", {})
        job = template.setdefault("spec", {})
        # A job made from the template gets its own defaults; the template shows only its pods'.
        pods = {"template": job.setdefault("template", {})}
        default_job_spec(pods)

    def validate(self, obj: Object) -> list[FieldError]:
        return list(_validate(obj))

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        job = (spec.get("jobTemplate") or {}).get("spec") or {}
        last = status.get("lastScheduleTime")
        return [
            obj["metadata"]["name"],
            spec.get("schedule") or "",
            spec.get("timeZone") or NONE,
            bool(spec.get("suspend")),
            len(status.get("active") or ()),
            since(last, now) if last else NONE,
            age(obj, now),
            *containers_and_images((job.get("template") or {}).get("spec")),
            format_label_selector(job.get("selector")),
        ]


def _validate(obj: Object) -> Iterator[FieldError]:
    name, spec = obj["metadata"].get("name") or "", obj.get("spec") or {}
    if len(name) > NAME_LIMIT:
        yield invalid_value("metadata.name", name, f"must be no more than {NAME_LIMIT} characters")
    schedule = spec.get("schedule") or ""
    if not schedule:
        yield required("spec.schedule")
    else:
        yield from _schedule(schedule, spec.get("timeZone"))
    for count in COUNTS:
        if spec.get(count) is not None:
            yield from non_negative(spec[count], f"spec.{count}")
    policy = spec.get("concurrencyPolicy")
    if policy not in POLICIES:
        yield not_supported("spec.concurrencyPolicy", policy, POLICIES)
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    if job.get("selector") is not None:
        yield forbidden_value("spec.jobTemplate.spec.selector", "may not be set: `selector` will be auto-generated")
    if job.get("manualSelector"):
        yield not_supported("spec.jobTemplate.spec.manualSelector", True, ("nil", "false"))
    yield from validate_job_spec({"completionMode": "NonIndexed", **job}, "spec.jobTemplate.spec")


def _schedule(schedule: str, zone: str | None) -> Iterator[FieldError]:
    """The shape of a schedule; the controller that runs it knows the rest."""
    if "TZ" in schedule:
        hint = "use timeZone field instead" if zone else "try using timeZone field instead"
        yield invalid_value("spec.schedule", schedule, f"cannot use TZ or CRON_TZ in schedule, {hint}")
    elif not schedule.startswith("@") and len(schedule.split()) != FIELDS:
        found = len(schedule.split())
        why = f"expected exactly {FIELDS} fields, found {found}: [{schedule}]"
        yield invalid_value("spec.schedule", schedule, why)
    if zone == "":
        yield invalid_value("spec.timeZone", zone, "timeZone must be nil or non-empty string")
    elif zone and zone.lower() == "local":
        yield invalid_value(
            "spec.timeZone",
            zone,
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
        )
