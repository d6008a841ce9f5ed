"""Each rule of Jobs and CronJobs: a valid object, changed, and exactly what is said of it."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubrick_api.merge import json_merge
from kubrick_api_batch.indexes import IndexesError, count_indexes, overlap
from kubrick_api_batch.job_validation import (
    NAME_LABEL,
    OLD_NAME_LABEL,
    OLD_UID_LABEL,
    UID_LABEL,
    validate_job_update,
)
from kubrick_api_batch.jobs import JobStrategy, generate_selector

Object = dict[str, Any]
UID = "0-1"
PODS = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}


def job(**spec: Any) -> Object:
    made: Object = {"metadata": {"name": "j", "uid": UID}, "spec": {"template": copy.deepcopy(PODS), **spec}}
    made["spec"]["template"].setdefault("metadata", {})
    generate_selector(made)
    JobStrategy().default(made)
    return made


def said(obj: Object) -> list[str]:
    return [str(error) for error in JobStrategy().validate(obj)]


T = "spec.template"
INDEXED = {"completionMode": "Indexed", "completions": 3, "parallelism": 3}


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({}, []),
        (INDEXED, []),
        (
            {"parallelism": -1, "backoffLimit": -1},
            [
                "spec.parallelism: Invalid value: -1: must be greater than or equal to 0",
                "spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0",
            ],
        ),
        (
            {"managedBy": "x"},
            ['spec.managedBy: Invalid value: "x": must be a domain-prefixed path (such as "acme.io/foo")'],
        ),
        (
            {"completionMode": "x"},
            ['spec.completionMode: Unsupported value: "x": supported values: "NonIndexed", "Indexed"'],
        ),
        (
            {"completionMode": "Indexed", "parallelism": 100_001},
            [
                "spec.completions: Required value: when completion mode is Indexed",
                "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is "
                "Indexed",
            ],
        ),
        (
            {**INDEXED, "backoffLimitPerIndex": 1, "maxFailedIndexes": 4},
            ["spec.maxFailedIndexes: Invalid value: 4: must be less than or equal to completions"],
        ),
        (
            {**INDEXED, "backoffLimitPerIndex": 1, "completions": 100_001, "parallelism": 10_001},
            [
                "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000",
                "spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 when completions are "
                "above 100000 and used with backoff limit per index",
            ],
        ),
        (
            {"maxFailedIndexes": 1},
            [
                "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
                "spec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode",
            ],
        ),
        (
            {"podReplacementPolicy": "x"},
            ['spec.podReplacementPolicy: Unsupported value: "x": supported values: "Failed", "TerminatingOrFailed"'],
        ),
        (
            {
                "podReplacementPolicy": "TerminatingOrFailed",
                "podFailurePolicy": {"rules": [{"action": "FailIndex"}, {}]},
            },
            [
                'spec.podFailurePolicy.rules[0].action: Invalid value: "FailIndex": requires the backoffLimitPerIndex '
                "to be set",
                "spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is "
                "required",
                'spec.podFailurePolicy.rules[1].action: Required value: valid values: ["Count" "FailIndex" "FailJob" '
                '"Ignore"]',
                "spec.podFailurePolicy.rules[1]: Invalid value: specifying one of OnExitCodes and OnPodConditions is "
                "required",
                'spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"',
            ],
        ),
        (
            {
                "podFailurePolicy": {
                    "rules": [
                        {
                            "action": "Ignore",
                            "onExitCodes": {"operator": "In", "containerName": "x", "values": [2, 0, 2]},
                            "onPodConditions": [{"type": "Ready", "status": "x"}],
                        }
                    ]
                }
            },
            [
                'spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: "x": must be one of the '
                "container or initContainer names in the pod template",
                "spec.podFailurePolicy.rules[0].onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In "
                "operator",
                "spec.podFailurePolicy.rules[0].onExitCodes.values[2]: Duplicate value: 2",
                "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [2,0,2]: must be ordered",
                'spec.podFailurePolicy.rules[0].onPodConditions[0].status: Unsupported value: "x": supported values: '
                '"False", "True", "Unknown"',
                "spec.podFailurePolicy.rules[0]: Invalid value: specifying both OnExitCodes and OnPodConditions is not "
                "supported",
            ],
        ),
        (
            {**INDEXED, "successPolicy": {"rules": [{}, {"succeededIndexes": "0,2-1", "succeededCount": 4}]}},
            [
                "spec.successPolicy.rules[0]: Required value: at least one of succeededCount or succeededIndexes must "
                "be specified",
                'spec.successPolicy.rules[1].succeededIndexes: Invalid value: "0,2-1": error parsing succeededIndexes: '
                "non-increasing order, previous: 2, current: 1",
                "spec.successPolicy.rules[1].succeededCount: Invalid value: 4: must be less than or equal to 3 (the "
                "number of specified completions)",
                "spec.successPolicy.rules[1].succeededCount: Invalid value: 4: must be less than or equal to 0 (the "
                "number of indexes in the specified succeededIndexes field)",
            ],
        ),
        (
            {"successPolicy": {"rules": []}},
            ['spec.successPolicy: Invalid value: {"Rules":[]}: requires indexed completion mode'],
        ),
    ],
)
def test_a_job(spec: Object, wrong: list[str]) -> None:
    assert said(job(**spec)) == wrong


def test_an_indexed_jobs_pods_have_hostnames() -> None:
    obj = job(**INDEXED)
    obj["metadata"]["name"] = name = "a" * 62
    for key in (NAME_LABEL, OLD_NAME_LABEL):
        obj["spec"]["template"]["metadata"]["labels"][key] = name
    (error,) = said(obj)
    assert error == (
        f'metadata.name: Invalid value: "{name}": will not able to create pod with invalid DNS label: {name}-2'
    )


def test_a_generated_selector_is_the_jobs_own() -> None:
    obj = job()
    labels = obj["spec"]["template"]["metadata"]["labels"]
    labels[UID_LABEL] = "other"
    del labels[OLD_UID_LABEL]
    shown = '{"batch.kubernetes.io/job-name":"j","batch.kubernetes.io/controller-uid":"other","job-name":"j"}'
    assert said(obj) == [
        f"{T}.metadata.labels[controller-uid]: Required value: must be '0-1'",
        f"{T}.metadata.labels[batch.kubernetes.io/controller-uid]: Invalid value: {shown}: must be '0-1'",
        f"{T}.metadata.labels: Invalid value: {shown}: `selector` does not match template `labels`",
    ]


def changed(old: Object, patch: Object) -> list[str]:
    return [error.field for error in validate_job_update(json_merge(old, patch), old)]


def test_what_a_job_is_for_does_not_change() -> None:
    old = job(**INDEXED)
    assert changed(old, {"spec": {"parallelism": 9, "backoffLimit": 9, "suspend": True}}) == []
    assert changed(old, {"spec": {"completions": 9}}) == ["spec.completions"]
    assert changed(old, {"spec": {"completions": 9, "parallelism": 9}}) == []
    assert changed(job(), {"spec": {"completions": 9, "parallelism": 9}}) == ["spec.completions"]
    fixed = {"managedBy": "a/b", "backoffLimitPerIndex": 1, "successPolicy": {"rules": [{}]}, "selector": None}
    assert changed(old, {"spec": fixed}) == [
        "spec.selector",
        "spec.backoffLimitPerIndex",
        "spec.managedBy",
        "spec.successPolicy",
    ]


PLACED = {"spec": {"template": {"spec": {"nodeSelector": {"a": "b"}, "schedulingGates": [{"name": "g"}]}}}}


def test_where_a_suspended_jobs_pods_go_may_change_while_there_are_none() -> None:
    running, idle = job(), job(suspend=True)
    assert changed(running, PLACED) == ["spec.template"]
    assert changed(idle, PLACED) == []
    started = json_merge(idle, {"status": {"startTime": "2026-01-01T00:00:00Z"}})
    assert changed(started, PLACED) == ["spec.template"]
    stopped = json_merge(started, {"status": {"conditions": [{"type": "Suspended", "status": "True"}]}})
    assert changed(stopped, PLACED) == []
    assert changed(idle, {"spec": {"template": {"spec": {"hostname": "x"}}}}) == ["spec.template.spec"]


START, END = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"


def conditions(*kinds: str) -> list[Object]:
    return [{"type": kind, "status": "True"} for kind in kinds]


DONE = {"conditions": conditions("SuccessCriteriaMet", "Complete"), "startTime": START, "completionTime": END}
C = "status.conditions: Invalid value: "


@pytest.mark.parametrize(
    ("spec", "old", "status", "wrong"),
    [
        ({}, {}, DONE, []),
        ({}, {}, {"active": -1}, ["status.active: Invalid value: -1: must be greater than or equal to 0"]),
        (
            {},
            {},
            {"conditions": conditions("Complete")},
            [
                "status.completionTime: Required value: completionTime is required for Complete jobs",
                f"{C}cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
                "status.startTime: Required value: startTime is required for finished job",
            ],
        ),
        (
            {},
            {},
            {"conditions": conditions("Failed"), "startTime": END, "completionTime": START, "active": 1},
            [
                f'status.completionTime: Invalid value: "{START}": cannot set completionTime when there is no '
                "Complete=True condition",
                f'status.completionTime: Invalid value: "{START}": must be equal to or after `startTime`',
                f"{C}cannot set Failed=True condition without the FailureTarget=true condition",
                "status.active: Invalid value: 1: active>0 is invalid for finished job",
            ],
        ),
        (
            {},
            DONE,
            {"startTime": START, "completionTime": END},
            [
                f'status.completionTime: Invalid value: "{END}": cannot set completionTime when there is no '
                "Complete=True condition",
                f"{C}cannot disable the terminal Complete=True condition",
                f"{C}cannot disable the SuccessCriteriaMet=True condition",
            ],
        ),
        (
            {},
            {"failed": 2, "succeeded": 2, "startTime": START},
            {"failed": 1, "succeeded": 1},
            [
                "status.failed: Invalid value: 1: cannot decrease the failed counter",
                "status.succeeded: Invalid value: 1: cannot decrease the succeeded counter",
                "status.startTime: Required value: startTime cannot be removed for unsuspended job",
            ],
        ),
        (
            {},
            {},
            {"ready": 1, "uncountedTerminatedPods": {"succeeded": ["a", ""], "failed": ["a"]}},
            [
                'status.uncountedTerminatedPods.succeeded[1]: Invalid value: "": must not be empty',
                'status.uncountedTerminatedPods.failed[0]: Duplicate value: "a"',
                "status.ready: Invalid value: 1: cannot set more ready pods than active",
            ],
        ),
        (
            {},
            {},
            {"completedIndexes": "1", "failedIndexes": "0"},
            [
                'status.completedIndexes: Invalid value: "1": error parsing completedIndexes: too large index: "1"',
                'status.completedIndexes: Invalid value: "1": cannot set non-empty completedIndexes when non-indexed '
                "completion mode",
                'status.failedIndexes: Invalid value: "0": cannot set non-null failedIndexes when backoffLimitPerIndex '
                "is null",
            ],
        ),
        (
            {**INDEXED, "backoffLimitPerIndex": 1},
            {},
            {"completedIndexes": "0-1", "failedIndexes": "1"},
            ['status.failedIndexes: Invalid value: "1": failedIndexes and completedIndexes overlap at index: 1'],
        ),
    ],
)
def test_a_jobs_status(spec: Object, old: Object, status: Object, wrong: list[str]) -> None:
    before, after = {**job(**spec), "status": old}, {**job(**spec), "status": status}
    assert [str(error) for error in JobStrategy().validate_status_update(after, before)] == wrong


def test_a_wrong_status_may_stay_as_it_is() -> None:
    wrong = {**job(), "status": {"conditions": conditions("Complete"), "active": 1, "completedIndexes": "9"}}
    assert JobStrategy().validate_status_update(copy.deepcopy(wrong), wrong) == []


@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
def test_indexes_count_and_overlap_as_sets_do(done: set[int], lost: set[int]) -> None:
    texts = [",".join(map(str, sorted(each))) for each in (done, lost)]
    assert count_indexes(texts[0], 41) == len(done)
    both = done & lost
    assert overlap(texts[0], texts[1], 41) == (min(both) if both else None)


@pytest.mark.parametrize("text", ["1-2-3", "a", "1,", "41", "3-3", "2,1"])
def test_what_is_no_set_of_indexes_says_why(text: str) -> None:
    with pytest.raises(IndexesError):
        count_indexes(text, 41)
