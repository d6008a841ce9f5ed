"""Jobs and CronJobs: defaults, the generated selector, refusals, rows."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from kubrick_api_batch.cronjobs import CronJobStrategy
from kubrick_api_batch.job_validation import validate_job_update
from kubrick_api_batch.jobs import JobStrategy, generate_selector, job_row

Object = dict[str, Any]
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def job(**spec: Any) -> Object:
    pods = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1"}]}}
    metadata = {"name": "work", "uid": "u-1", "creationTimestamp": "2026-01-01T11:55:00Z"}
    made = {"metadata": metadata, "spec": {"template": pods, **spec}}
    JobStrategy().default(made)
    if not spec.get("manualSelector"):
        generate_selector(made)
    return made


def test_defaults() -> None:
    spec = job()["spec"]
    assert {key: spec[key] for key in ("completions", "parallelism", "backoffLimit", "completionMode", "suspend")} == {
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "suspend": False,
    }
    assert spec["podReplacementPolicy"] == "TerminatingOrFailed"
    assert "completions" not in job(parallelism=3)["spec"]


def test_a_jobs_pods_are_told_by_its_uid() -> None:
    made = job()
    assert made["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "u-1"}}
    assert made["spec"]["template"]["metadata"]["labels"] == {
        "batch.kubernetes.io/controller-uid": "u-1",
        "batch.kubernetes.io/job-name": "work",
        "controller-uid": "u-1",
        "job-name": "work",
    }
    assert JobStrategy().validate(made) == []


def test_a_jobs_pods_may_not_always_restart() -> None:
    made = job()
    made["spec"]["template"]["spec"]["restartPolicy"] = "Always"
    assert [str(error) for error in JobStrategy().validate(made)] == [
        'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'
    ]


def test_a_jobs_template_is_fixed() -> None:
    new = copy.deepcopy(job())
    new["spec"]["template"]["spec"]["hostname"] = "x"
    (error,) = validate_job_update(new, job())
    assert (error.field, error.message.rpartition(": ")[2]) == ("spec.template", "field is immutable")


@pytest.mark.parametrize(
    ("conditions", "state"),
    [([], "Running"), (["Complete"], "Complete"), (["Failed"], "Failed"), (["Suspended"], "Suspended")],
)
def test_a_job_row(conditions: list[str], state: str) -> None:
    made = job(completions=3)
    made["status"] = {
        "succeeded": 2,
        "startTime": "2026-01-01T11:59:00Z",
        "conditions": [{"type": kind, "status": "True"} for kind in conditions],
    }
    assert job_row(made, NOW)[:5] == ["work", state, "2/3", "60s", "5m"]


def cron(**spec: Any) -> Object:
    template = {"spec": {"template": job()["spec"]["template"]}}
    made = {"metadata": {"name": "nightly"}, "spec": {"schedule": "0 3 * * *", "jobTemplate": template, **spec}}
    CronJobStrategy().default(made)
    return made


def test_a_cron_job_gets_its_defaults_and_its_jobs_get_theirs_later() -> None:
    spec = cron()["spec"]
    assert (spec["concurrencyPolicy"], spec["suspend"]) == ("Allow", False)
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (3, 1)
    assert list(spec["jobTemplate"]["spec"]) == ["template"]
    assert CronJobStrategy().validate(cron()) == []


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({"schedule": ""}, "spec.schedule: Required value"),
        ({"schedule": "* * *"}, "expected exactly 5 fields, found 3: [* * *]"),
        ({"concurrencyPolicy": "Maybe"}, 'Unsupported value: "Maybe": supported values: "Allow", "Forbid", "Replace"'),
    ],
)
def test_a_wrong_cron_job_is_refused(spec: Object, wanted: str) -> None:
    assert any(wanted in str(error) for error in CronJobStrategy().validate(cron(**spec)))
