"""What a change of a job's status may not do, whoever manages the job.

Most rules are asked only when what they speak of changes: a spec that was just changed may for a moment
disagree with its status. From pkg/apis/batch/validation and pkg/registry/batch/job/strategy.go.
"""

from collections.abc import Iterator

from attrs import frozen

from kubrick_api.cells import parse_time
from kubrick_api.conditions import condition_is
from kubrick_api.equality import same
from kubrick_api.errors import FieldError, duplicate, invalid_unseen, invalid_value, required
from kubrick_api.resource import Object
from kubrick_api.validation import IMMUTABLE, non_negative
from kubrick_api_batch import internal
from kubrick_api_batch.indexes import IndexesError, count_indexes, overlap

Errors = Iterator[FieldError]
AT = "status.conditions"


@frozen
class _State:
    """What a status says of how the job is doing."""

    complete: bool
    failed: bool
    failing: bool
    succeeding: bool

    @property
    def finished(self) -> bool:
        return self.complete or self.failed


def _state(status: Object) -> _State:
    kinds = ("Complete", "Failed", "FailureTarget", "SuccessCriteriaMet")
    return _State(*(condition_is(status.get("conditions"), kind) for kind in kinds))


@frozen
class _Change:
    spec: Object
    status: Object
    old: Object
    now: _State
    before: _State

    def changed(self, *names: str) -> bool:
        return any(not same(self.status.get(name), self.old.get(name)) for name in names)

    def finishes(self, *names: str) -> bool:
        """Whether the job is finished, and that is news, or one of these fields is."""
        return self.now.finished and (not self.before.finished or self.changed(*names))


def validate_job_status(job: Object, old: Object) -> Errors:
    status, before = job.get("status") or {}, old.get("status") or {}
    change = _Change(job.get("spec") or {}, status, before, _state(status), _state(before))
    for name in ("active", "succeeded", "failed", "ready", "terminating"):
        yield from non_negative(status.get(name) or 0, f"status.{name}")
    yield from _uncounted(status)
    yield from _times(change)
    yield from _contradictions(change)
    yield from _finished(change)
    yield from _indexes(change)
    yield from _success(change)
    yield from _history(change)


def _uncounted(status: Object) -> Errors:
    seen: set[str] = set()
    for kind in ("succeeded", "failed"):
        for i, uid in enumerate((status.get("uncountedTerminatedPods") or {}).get(kind) or ()):
            at = f"status.uncountedTerminatedPods.{kind}[{i}]"
            if not uid:
                yield invalid_value(at, uid, "must not be empty")
            elif uid in seen:
                yield duplicate(at, uid)
            seen.add(uid)


def _times(change: _Change) -> Errors:
    """Contradictions of Complete with Failed, and of completionTime with Complete and startTime."""
    now, before, end = change.now, change.before, change.status.get("completionTime")
    start = change.status.get("startTime")
    if now.complete and now.failed and not (before.complete and before.failed):
        yield invalid_unseen(AT, "cannot set Complete=True and Failed=true conditions")
    if now.complete and now.failing and (not before.complete or not before.failing):
        yield invalid_unseen(AT, "cannot set Complete=True and FailureTarget=true conditions")
    if now.complete != before.complete or change.changed("completionTime"):
        if end is not None and not now.complete:
            why = "cannot set completionTime when there is no Complete=True condition"
            yield invalid_value("status.completionTime", end, why)
        if end is None and now.complete:
            yield required("status.completionTime", "completionTime is required for Complete jobs")
    if start and end and change.changed("startTime", "completionTime") and parse_time(end) < parse_time(start):
        yield invalid_value("status.completionTime", end, "must be equal to or after `startTime`")


def _contradictions(change: _Change) -> Errors:
    now, before = change.now, change.before
    lost = change.status.get("failedIndexes") != change.old.get("failedIndexes")
    if now.failed and not now.failing and (not before.failed or lost):
        yield invalid_unseen(AT, "cannot set Failed=True condition without the FailureTarget=true condition")
    if now.complete and not now.succeeding and (not before.complete or before.succeeding):
        yield invalid_unseen(AT, "cannot set Complete=True condition without the SuccessCriteriaMet=true condition")


def _finished(change: _Change) -> Errors:
    status, spec = change.status, change.spec
    nothing_to_do = spec.get("suspend") is True and spec.get("completions") == 0
    if (status.get("active") or 0) > 0 and change.finishes("active"):
        yield invalid_value("status.active", status["active"], "active>0 is invalid for finished job")
    if status.get("startTime") is None and change.finishes("startTime") and not nothing_to_do:
        yield required("status.startTime", "startTime is required for finished job")
    uncounted = status.get("uncountedTerminatedPods") or {}
    if (uncounted.get("succeeded") or uncounted.get("failed")) and change.finishes("uncountedTerminatedPods"):
        at = "status.uncountedTerminatedPods"
        yield invalid_value(at, internal.uncounted(uncounted), "must be empty for finished job")


def _indexes(change: _Change) -> Errors:
    spec, status = change.spec, change.status
    done, lost, completions = status.get("completedIndexes") or "", status.get("failedIndexes"), spec.get("completions")
    new_done = change.changed("completedIndexes")
    new_lost = lost != change.old.get("failedIndexes")  # none at all isn't an empty text here
    per_index = spec.get("backoffLimitPerIndex") is not None
    for name, text, news in (
        ("completedIndexes", done, new_done),
        ("failedIndexes", lost, new_lost and per_index and lost is not None),
    ):
        try:
            if news and completions is not None:
                count_indexes(text or "", completions)
        except IndexesError as error:
            yield invalid_value(f"status.{name}", text, f"error parsing {name}: {error}")
    if done and new_done and spec.get("completionMode") != "Indexed":
        why = "cannot set non-empty completedIndexes when non-indexed completion mode"
        yield invalid_value("status.completedIndexes", done, why)
    if lost is not None and new_lost and not per_index:
        why = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        yield invalid_value("status.failedIndexes", lost, why)
    if completions is not None and lost is not None and (new_done or new_lost):
        both = overlap(done, lost, completions)
        if both is not None:
            why = f"failedIndexes and completedIndexes overlap at index: {both}"
            yield invalid_value("status.failedIndexes", lost, why)


def _success(change: _Change) -> Errors:
    now, status = change.now, change.status
    terminating, ready, active = status.get("terminating") or 0, status.get("ready"), status.get("active") or 0
    if terminating > 0 and change.finishes("terminating"):
        yield invalid_value("status.terminating", terminating, "terminating>0 is invalid for finished job")
    if ready is not None and ready > active and change.changed("ready", "active"):
        yield invalid_value("status.ready", ready, "cannot set more ready pods than active")
    if now.succeeding and now.failed:
        yield invalid_unseen(AT, "cannot set SuccessCriteriaMet=True and Failed=true conditions")
    if now.succeeding and now.failing:
        yield invalid_unseen(AT, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions")
    if change.spec.get("successPolicy") is not None and now.complete and not now.succeeding:
        why = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"
        yield invalid_unseen(AT, why)


def _history(change: _Change) -> Errors:
    now, before, status, old, spec = change.now, change.before, change.status, change.old, change.spec
    for kind, was, still in (
        ("Failed", before.failed, now.failed),
        ("Complete", before.complete, now.complete),
        ("FailureTarget", before.failing, now.failing),
    ):
        if was and not still:
            yield invalid_unseen(AT, f"cannot disable the terminal {kind}=True condition")
    if (status.get("failed") or 0) < (old.get("failed") or 0):
        yield invalid_value("status.failed", status.get("failed") or 0, "cannot decrease the failed counter")
    elastic = spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")
    if not elastic and (status.get("succeeded") or 0) < (old.get("succeeded") or 0):
        yield invalid_value("status.succeeded", status.get("succeeded") or 0, "cannot decrease the succeeded counter")
    if status.get("completionTime") and old.get("completionTime") and change.changed("completionTime"):
        yield invalid_value("status.completionTime", status["completionTime"], IMMUTABLE)
    suspensions = (old.get("conditions"), "True"), (status.get("conditions"), "False")
    resumes = all(condition_is(conditions, "Suspended", value) for conditions, value in suspensions)
    if old.get("startTime") and change.changed("startTime") and not spec.get("suspend") and not resumes:
        yield required("status.startTime", "startTime cannot be removed for unsuspended job")
    if before.succeeding and not now.succeeding:
        yield invalid_unseen(AT, "cannot disable the SuccessCriteriaMet=True condition")
    if before.complete and not before.succeeding and now.succeeding:
        why = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"
        yield invalid_unseen(AT, why)
