"""What may be changed of jobs and CronJobs, and when: each rule of 1.36, with exactly what is said."""

import copy
from typing import Any

import pytest

from kubrick_api.merge import json_merge
from kubrick_api_batch import CRON_JOBS, JOBS
from kubrick_api_batch.cronjobs import ZONED, CronJobStrategy
from kubrick_api_batch.job_validation import validate_job_update
from kubrick_api_batch.jobs import JobStrategy, generate_selector
from kubrick_api_batch.schedule import complaint
from kubrick_testing import run_cluster

Object = dict[str, Any]
PODS = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
INDEXED = {"completionMode": "Indexed", "completions": 3, "parallelism": 3}
START, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"


def job(**spec: Any) -> Object:
    made: Object = {"metadata": {"name": "j", "uid": "0-1"}, "spec": {"template": copy.deepcopy(PODS), **spec}}
    made["spec"]["template"].setdefault("metadata", {})
    generate_selector(made)
    JobStrategy().default(made)
    return made


def template(**spec: Any) -> Object:
    return {"spec": {"template": {"spec": spec}}}


def resources(**limits: str) -> Object:
    return template(containers=[{"name": "c", "image": "i", "resources": {"limits": limits}}])


TERM = {"matchExpressions": [{"key": "a", "operator": "Exists"}]}
AFFINITY = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [TERM]}}
DIRECTIVES = {
    "node selector": template(nodeSelector={"a": "b"}),
    "node affinity": template(affinity={"nodeAffinity": AFFINITY}),
    "tolerations": template(tolerations=[{"key": "a", "operator": "Exists"}]),
    "gates": template(schedulingGates=[{"name": "a.io/g"}]),
    "labels": {"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}},
    "annotations": {"spec": {"template": {"metadata": {"annotations": {"a": "b"}}}}},
    "resources": resources(cpu="1"),
}
FIXED = {
    "image": template(containers=[{"name": "c", "image": "other"}]),
    "another container": template(containers=[{"name": "c", "image": "i"}, {"name": "d", "image": "i"}]),
    "pod affinity": template(
        affinity={"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}]}}
    ),
    "priority": template(priorityClassName="high"),
}
SUSPENDED = {"conditions": [{"type": "Suspended", "status": "True"}]}


def changed(old: Object, patch: Object) -> list[tuple[str, str]]:
    new = json_merge(old, patch)
    JobStrategy().default(new)
    errors = validate_job_update(new, old)
    return [(error.field, error.message.rpartition(": ")[2]) for error in errors]


@pytest.mark.parametrize("name", DIRECTIVES)
@pytest.mark.parametrize(
    ("suspend", "status", "allowed"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"startTime": START}, False),
        (True, {"startTime": START, **SUSPENDED}, True),
        (True, {"startTime": START, "active": 1, **SUSPENDED}, False),
        (True, {"active": 1}, False),
        (False, {**SUSPENDED}, False),
    ],
)
def test_where_pods_go_and_what_they_need_may_change_while_there_are_none(
    name: str, suspend: bool, status: Object, allowed: bool
) -> None:
    old = {**job(suspend=suspend), "status": status}
    wanted = [] if allowed else [("spec.template", "field is immutable")]
    assert changed(old, DIRECTIVES[name]) == wanted


def test_a_job_may_be_resized_and_resumed_at_once() -> None:
    assert changed(job(suspend=True), json_merge(resources(cpu="1"), {"spec": {"suspend": False}})) == []


@pytest.mark.parametrize("name", FIXED)
def test_the_rest_of_a_suspended_jobs_template_stays(name: str) -> None:
    assert changed(job(suspend=True), FIXED[name]) == [("spec.template.spec", "field is immutable")]


def test_policies_are_shown_as_go_names_their_fields() -> None:
    old = job(**INDEXED)
    rules = {
        "podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "A", "status": "True"}]}]}
    }
    success = {"successPolicy": {"rules": [{"succeededCount": 1, "succeededIndexes": "0"}]}}
    errors = validate_job_update(json_merge(old, {"spec": {**rules, **success}}), old)
    assert [str(error) for error in errors] == [
        'spec.podFailurePolicy: Invalid value: {"Rules":[{"Action":"Ignore","OnExitCodes":null,"OnPodConditions":'
        '[{"Type":"A","Status":"True"}]}]}: field is immutable',
        'spec.successPolicy: Invalid value: {"Rules":[{"SucceededIndexes":"0","SucceededCount":1}]}: field is '
        "immutable",
    ]


def test_an_indexed_job_grows_in_both_ways_at_once() -> None:
    (error,) = validate_job_update(json_merge(job(**INDEXED), {"spec": {"completions": 4}}), job(**INDEXED))
    assert str(error) == "spec.completions: Invalid value: 4: can only be modified in tandem with spec.parallelism"


def test_values_that_are_no_label_values_may_stay_in_a_selector() -> None:
    wrong = {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["-"]}]}
    old = job(manualSelector=True, selector=wrong)
    assert [error.field for error in JobStrategy().validate(old)] == ["spec.selector.matchExpressions[0].values[0]"]
    assert JobStrategy().validate_replacement(json_merge(old, {"spec": {"parallelism": 2}}), old) == []


def conditions(*kinds: str, value: str = "True") -> Object:
    return {"conditions": [{"type": kind, "status": value} for kind in kinds]}


C = "status.conditions: Invalid value: "
DONE = {**conditions("SuccessCriteriaMet", "Complete"), "startTime": START, "completionTime": LATER}


@pytest.mark.parametrize(
    ("spec", "old", "status", "wrong"),
    [
        pytest.param(
            {"suspend": True, "completions": 0},
            {},
            {**conditions("SuccessCriteriaMet", "Complete"), "completionTime": LATER},
            [],
            id="nothing to do never starts",
        ),
        pytest.param(
            {"completions": 0},
            {},
            {**conditions("SuccessCriteriaMet", "Complete"), "completionTime": LATER},
            ["status.startTime: Required value: startTime is required for finished job"],
            id="the rest does",
        ),
        pytest.param(
            {},
            {**conditions("Suspended"), "startTime": START},
            {**conditions("Suspended", value="False"), "startTime": LATER},
            [],
            id="resuming restarts the clock",
        ),
        pytest.param(
            {},
            {"startTime": START},
            {"startTime": LATER},
            ["status.startTime: Required value: startTime cannot be removed for unsuspended job"],
            id="nothing else does",
        ),
        pytest.param(
            {},
            {},
            {"failedIndexes": ""},
            [
                'status.failedIndexes: Invalid value: "": cannot set non-null failedIndexes when backoffLimitPerIndex '
                "is null"
            ],
            id="no index is not none",
        ),
        pytest.param(
            {},
            DONE,
            {**DONE, "uncountedTerminatedPods": {"failed": ["a"]}, "terminating": 1},
            [
                'status.uncountedTerminatedPods: Invalid value: {"Succeeded":null,"Failed":["a"]}: must be empty for '
                "finished job",
                "status.terminating: Invalid value: 1: terminating>0 is invalid for finished job",
            ],
            id="a finished job has nothing left",
        ),
        pytest.param(
            {},
            {**conditions("Failed", "FailureTarget"), "startTime": START},
            {**conditions("Failed"), "startTime": START},
            [f"{C}cannot disable the terminal FailureTarget=True condition"],
            id="said once",
        ),
        pytest.param(
            {},
            {},
            {
                **conditions("Complete", "Failed", "FailureTarget", "SuccessCriteriaMet"),
                **DONE,
                "conditions": [
                    {"type": kind, "status": "True"}
                    for kind in ("Complete", "Failed", "FailureTarget", "SuccessCriteriaMet")
                ],
            },
            [
                f"{C}cannot set Complete=True and Failed=true conditions",
                f"{C}cannot set Complete=True and FailureTarget=true conditions",
                f"{C}cannot set SuccessCriteriaMet=True and Failed=true conditions",
                f"{C}cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
            ],
            id="contradictions",
        ),
        pytest.param(
            {},
            DONE,
            {**DONE, "completionTime": "2026-01-01T00:02:00Z"},
            ['status.completionTime: Invalid value: "2026-01-01T00:02:00Z": field is immutable'],
            id="completion is final",
        ),
        pytest.param(
            {**INDEXED, "successPolicy": {"rules": [{"succeededCount": 1}]}},
            {**conditions("Complete"), "startTime": START, "completionTime": LATER},
            {**conditions("Complete"), "startTime": START, "completionTime": LATER},
            [f"{C}cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"],
            id="a policy is met",
        ),
        pytest.param(
            {},
            {**conditions("Complete"), "startTime": START, "completionTime": LATER},
            DONE,
            [f"{C}cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"],
            id="not met afterwards",
        ),
    ],
)
def test_a_change_of_a_jobs_status(spec: Object, old: Object, status: Object, wrong: list[str]) -> None:
    before, after = {**job(**spec), "status": old}, {**job(**spec), "status": status}
    assert [str(error) for error in JobStrategy().validate_status_update(after, before)] == wrong


def cron(**spec: Any) -> Object:
    made = {
        "metadata": {"name": "c", "generation": 1},
        "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": copy.deepcopy(PODS)}}, **spec},
    }
    CronJobStrategy().default(made)
    return made


def test_a_cron_jobs_name_leaves_room_for_its_jobs() -> None:
    made = cron()
    made["metadata"]["name"] = name = "c" * 53
    (error,) = CronJobStrategy().validate(made)
    assert str(error) == f'metadata.name: Invalid value: "{name}": must be no more than 52 characters'
    assert CronJobStrategy().validate_replacement(copy.deepcopy(made), made) == []
    made["metadata"]["name"] = "c" * 52
    assert CronJobStrategy().validate(made) == []


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        (
            {"schedule": "0 0 * * *"},
            {"schedule": "CRON_TZ=UTC 0 0 * * *"},
            ["cannot use TZ or CRON_TZ in schedule, use timeZone field instead"],
        ),
        ({"schedule": "TZ=UTC 0 0 * * *"}, {"schedule": "TZ=UTC 1 0 * * *"}, []),
        (
            {"schedule": "TZ=UTC 0 0 * * *"},
            {"timeZone": "Europe/Berlin"},
            ["cannot use both timeZone field and TZ or CRON_TZ in schedule"],
        ),
        ({"timeZone": "Nowhere/Land"}, {"suspend": True}, []),
        ({"timeZone": "Nowhere/Land"}, {"timeZone": "Nowhere/Else"}, ["unknown time zone Nowhere/Else"]),
        (
            {},
            {"timeZone": "LOCAL"},
            [
                "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
                "unknown time zone LOCAL",
            ],
        ),
    ],
)
def test_a_cron_jobs_zone(old: Object, new: Object, wrong: list[str]) -> None:
    before = cron(**old)
    errors = CronJobStrategy().validate_replacement(json_merge(before, {"spec": new}), before)
    assert [error.message.partition(": ")[2].partition(": ")[2] for error in errors] == wrong


def test_a_zone_in_a_schedule_is_warned_of_when_it_is_written_again() -> None:
    old = cron(schedule="TZ=UTC 0 0 * * *")
    assert CronJobStrategy().warnings(copy.deepcopy(old), old) == [ZONED]
    assert CronJobStrategy().warnings({**old, "status": {}}, old) == [], "its status alone"


def test_a_zone_in_a_schedule_is_no_path() -> None:
    assert complaint("TZ=../UTC * * * * *") == "provided bad location ../UTC: time: invalid location name"


async def test_a_suspended_job_is_resized_through_the_api() -> None:
    async with run_cluster("api") as cluster:
        body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}}
        await cluster.client.create(JOBS, {**body, "spec": {"suspend": True, "template": PODS}}, "default")
        after = await cluster.client.patch(JOBS, "j", resources(cpu="1"), "default")
        (container,) = after["spec"]["template"]["spec"]["containers"]
        assert container["resources"]["limits"] == {"cpu": "1"}
        assert after["metadata"]["generation"] == 2
        made = cron()
        made |= {"apiVersion": "batch/v1", "kind": "CronJob"}
        assert (await cluster.client.create(CRON_JOBS, made, "default"))["metadata"]["generation"] == 1


LABELLED = {"metadata": {"labels": {"a": "b"}}, "spec": {"suspend": True}, "status": {"active": None}}


async def test_labels_may_come_along_with_a_status_and_a_spec_may_not() -> None:
    async with run_cluster("api") as cluster:
        body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "c"}, "spec": {"template": PODS}}
        await cluster.client.create(JOBS, body, "default")
        await cluster.client.create(CRON_JOBS, {**cron(), "apiVersion": "batch/v1", "kind": "CronJob"}, "default")
        for resource in (JOBS, CRON_JOBS):
            after = await cluster.client.patch(resource, "c", LABELLED, "default", subresource="status")
            assert after["metadata"]["labels"]["a"] == "b"
            assert (after["spec"]["suspend"], after["metadata"]["generation"]) == (False, 1)
