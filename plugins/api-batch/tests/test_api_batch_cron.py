"""Each rule of CronJobs and of their schedules, and exactly what is said."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubrick_api.merge import json_merge
from kubrick_api_batch.cronjobs import CronJobStrategy
from kubrick_api_batch.schedule import complaint

Object = dict[str, Any]
PODS = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}


def cron(**spec: Any) -> Object:
    made = {
        "metadata": {"name": "c"},
        "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": copy.deepcopy(PODS)}}, **spec},
    }
    CronJobStrategy().default(made)
    return made


J = "spec.jobTemplate.spec"


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({}, []),
        ({"schedule": "@every 1h30m", "timeZone": "Europe/Berlin"}, []),
        ({"schedule": ""}, ["spec.schedule: Required value"]),
        (
            {"schedule": "TZ=UTC 0 0 * * *"},
            [
                'spec.schedule: Invalid value: "TZ=UTC 0 0 * * *": cannot use TZ or CRON_TZ in schedule, use timeZone '
                "field instead"
            ],
        ),
        ({"timeZone": ""}, ['spec.timeZone: Invalid value: "": timeZone must be nil or non-empty string']),
        ({"timeZone": "a/../b"}, ['spec.timeZone: Invalid value: "a/../b": unknown time zone a/../b']),
        (
            {"timeZone": "Nowhere/Land"},
            ['spec.timeZone: Invalid value: "Nowhere/Land": unknown time zone Nowhere/Land'],
        ),
        (
            {"timeZone": "Local"},
            [
                'spec.timeZone: Invalid value: "Local": timeZone must be an explicit time zone as defined in '
                "https://www.iana.org/time-zones"
            ],
        ),
        (
            {"concurrencyPolicy": "x", "startingDeadlineSeconds": -1, "failedJobsHistoryLimit": -1},
            [
                "spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
                'spec.concurrencyPolicy: Unsupported value: "x": supported values: "Allow", "Forbid", "Replace"',
                "spec.failedJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
            ],
        ),
    ],
)
def test_a_cron_job(spec: Object, wrong: list[str]) -> None:
    assert [str(error) for error in CronJobStrategy().validate(cron(**spec))] == wrong


def test_a_cron_jobs_jobs_get_their_selectors_later() -> None:
    obj = json_merge(cron(), {"spec": {"jobTemplate": {"spec": {"selector": {}, "manualSelector": True}}}})
    assert [str(error) for error in CronJobStrategy().validate(obj)] == [
        f"{J}.selector: Invalid value: {{}}: `selector` will be auto-generated",
        f'{J}.manualSelector: Unsupported value: true: supported values: "nil", "false"',
    ]


def test_a_cron_job_may_keep_its_long_name_and_its_zone() -> None:
    old = cron(schedule="TZ=UTC 0 0 * * *", timeZone="Local")
    old["metadata"]["name"] = "c" * 53
    assert CronJobStrategy().validate(old)[-1].message.endswith("must be no more than 52 characters")
    (error,) = CronJobStrategy().validate_replacement(copy.deepcopy(old), old)
    assert error.message.endswith("cannot use both timeZone field and TZ or CRON_TZ in schedule")


@pytest.mark.parametrize(
    ("schedule", "why"),
    [
        ("*/5 0-6 1,15 jan-MAR sun", ""),
        ("@hourly", ""),
        ("* * *", "expected exactly 5 fields, found 3: [* * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("a * * * *", 'failed to parse int from a: strconv.Atoi: parsing "a": invalid syntax'),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("@never", "unrecognized descriptor: @never"),
        ("@every 5", 'failed to parse duration @every 5: time: missing unit in duration "5"'),
        ("@every 5y", 'failed to parse duration @every 5y: time: unknown unit "y" in duration "5y"'),
        ("@every x", 'failed to parse duration @every x: time: invalid duration "x"'),
        ("TZ=Nowhere * * * * *", "provided bad location Nowhere: unknown time zone Nowhere"),
        ("TZ=UTC", "invalid schedule format: runtime error: slice bounds out of range [:-1]"),
    ],
)
def test_schedules(schedule: str, why: str) -> None:
    assert complaint(schedule) == why


@given(st.text("*?/-,0123456789 @TZ=evryhms.", max_size=30))
def test_any_text_is_a_schedule_or_has_a_flaw(text: str) -> None:
    assert isinstance(complaint(text), str)
