"""CronJobs: defaults, validation and rows. From pkg/apis/batch."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from kubrick_api.cells import NONE, age, containers_and_images, format_label_selector, since
from kubrick_api.errors import FieldError, invalid_value, not_supported, required
from kubrick_api.resource import Object, Strategy
from kubrick_api.validation import non_negative
from kubrick_api_batch.job_validation import validate_job_spec
from kubrick_api_batch.jobs import default_job_spec, name_warnings, spec_warnings
from kubrick_api_batch.schedule import complaint, unknown_zone

NAME_LIMIT = 52  # the jobs' names add eleven characters
TOO_LONG = f"must be no more than {NAME_LIMIT} characters"
ZONED = (
    "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see "
    "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
)
POLICIES = ("Allow", "Forbid", "Replace")


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
        name = obj["metadata"].get("name") or ""
        errors = list(_validate(obj.get("spec") or {}, None))
        if len(name) > NAME_LIMIT:
            errors.append(invalid_value("metadata.name", name, TOO_LONG))
        return errors

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        return list(_validate(obj.get("spec") or {}, old.get("spec") or {}))

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        changed = old is None or obj["metadata"].get("generation") != old["metadata"].get("generation")
        spec = obj["spec"]["jobTemplate"]["spec"]
        at = "spec.jobTemplate.spec"
        said = [*(name_warnings(obj) if old is None else ()), *(spec_warnings(spec, at) if changed else ())]
        # An update of the status leaves the spec where it was, and isn't warned of it.
        replaced = old is not None and obj["spec"] is not old["spec"]
        return [*said, ZONED] if replaced and "TZ" in (obj["spec"].get("schedule") or "") else said

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


def _validate(spec: Object, old: Object | None) -> Iterator[FieldError]:
    """`old` is None for a new CronJob; what an old one already has isn't looked at again."""
    schedule, zone = spec.get("schedule") or "", spec.get("timeZone")
    if not schedule:
        yield required("spec.schedule")
    else:
        yield from _schedule(schedule, zone, old is not None and "TZ" in (old.get("schedule") or ""))
    if spec.get("startingDeadlineSeconds") is not None:
        yield from non_negative(spec["startingDeadlineSeconds"], "spec.startingDeadlineSeconds")
    if zone is not None and (old is None or old.get("timeZone") != zone):
        yield from _zone(zone, "spec.timeZone")
    policy = spec.get("concurrencyPolicy")
    if not policy:
        yield required("spec.concurrencyPolicy")
    elif policy not in POLICIES:
        yield not_supported("spec.concurrencyPolicy", policy, POLICIES)
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    before = None if old is None else (old.get("jobTemplate") or {}).get("spec") or {}
    yield from validate_job_spec(job, "spec.jobTemplate.spec", before)
    if job.get("selector") is not None:
        why = "`selector` will be auto-generated"
        yield invalid_value("spec.jobTemplate.spec.selector", job["selector"], why)
    if job.get("manualSelector"):
        yield not_supported("spec.jobTemplate.spec.manualSelector", True, ("nil", "false"))
    for count in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        if spec.get(count) is not None:
            yield from non_negative(spec[count], f"spec.{count}")


def _schedule(schedule: str, zone: str | None, zoned_before: bool) -> Iterator[FieldError]:
    if why := complaint(schedule):
        yield invalid_value("spec.schedule", schedule, why)
    if "TZ" in schedule and zoned_before and zone is not None:
        why = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
        yield invalid_value("spec.schedule", schedule, why)
    elif "TZ" in schedule and not zoned_before:
        why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        yield invalid_value("spec.schedule", schedule, why)


def _zone(zone: str, at: str) -> Iterator[FieldError]:
    if not zone:
        yield invalid_value(at, zone, "timeZone must be nil or non-empty string")
        return
    for part in zone.split("/"):
        if part in (".", "..") or part.startswith("-") or not re.fullmatch(r"[A-Za-z.\-_0-9+]{1,14}", part):
            yield invalid_value(at, zone, f"unknown time zone {zone}")
            return
    if zone.lower() == "local":
        why = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        yield invalid_value(at, zone, why)
    if why := unknown_zone(zone):
        yield invalid_value(at, zone, why)
