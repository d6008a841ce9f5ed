"""Access reviews, asked of a running API server."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_trio import trio_fixture

from kubrick_api.errors import StatusError
from kubrick_api.names import GVR
from kubrick_api_authorization import (
    LOCAL_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_RULES_REVIEWS,
    SUBJECT_ACCESS_REVIEWS,
)
from kubrick_api_authorization.selection import ignored
from kubrick_testing import Cluster, run_cluster

READ_PODS = {"verb": "get", "resource": "pods", "namespace": "default"}


async def test_who_may_do_what() -> None:
    async with run_cluster("api") as cluster:
        review = {"spec": {"resourceAttributes": READ_PODS}}
        mine = await cluster.client.create(SELF_SUBJECT_ACCESS_REVIEWS, review)
        assert mine["status"] == {"allowed": True}
        theirs = {"spec": {"user": "nobody", "resourceAttributes": READ_PODS}}
        answer = await cluster.client.create(SUBJECT_ACCESS_REVIEWS, theirs)
        assert answer["status"]["allowed"] is False
        rules = await cluster.client.create(SELF_SUBJECT_RULES_REVIEWS, {"spec": {"namespace": "default"}})
        assert rules["status"]["resourceRules"][0]["verbs"] == ["*"]
        with pytest.raises(StatusError, match="exactly one of nonResourceAttributes or resourceAttributes"):
            await cluster.client.create(SELF_SUBJECT_ACCESS_REVIEWS, {"spec": {}})


@trio_fixture  # type: ignore[untyped-decorator]  # pytest-trio has no types
async def api() -> AsyncIterator[Cluster]:
    async with run_cluster("api") as cluster:
        yield cluster


async def refusal(api: Cluster, resource: GVR, body: dict[str, Any], namespace: str = "") -> str:
    with pytest.raises(StatusError) as caught:
        await api.client.create(resource, body, namespace)
    assert caught.value.code == 422
    return caught.value.message.partition(" is invalid: ")[2]


BOTH = {"resourceAttributes": READ_PODS, "nonResourceAttributes": {"path": "/", "verb": "get"}}


async def test_a_review_is_about_somebody_and_one_thing(api: Cluster) -> None:
    assert await refusal(api, SUBJECT_ACCESS_REVIEWS, {"metadata": {"name": "x"}, "spec": BOTH}) == (
        '[spec.nonResourceAttributes: Invalid value: {"path":"/","verb":"get"}: cannot be specified in combination '
        'with resourceAttributes, spec.user: Invalid value: "": at least one of user or group must be specified, '
        'metadata: Invalid value: {"name":"x"}: must be empty]'
    )


async def test_a_local_review_stays_in_its_namespace(api: Cluster) -> None:
    spec = {"user": "ann", "resourceAttributes": {**READ_PODS, "namespace": "other"}}
    assert await refusal(api, LOCAL_SUBJECT_ACCESS_REVIEWS, {"metadata": {"name": "x"}, "spec": spec}, "default") == (
        '[metadata: Invalid value: {"name":"x","namespace":"default"}: must be empty except for namespace, '
        'spec.resourceAttributes.namespace: Invalid value: "other": must match metadata.namespace]'
    )
    spec = {"user": "ann", "nonResourceAttributes": {"path": "/", "verb": "get"}}
    assert await refusal(api, LOCAL_SUBJECT_ACCESS_REVIEWS, {"spec": spec}, "default") == (
        'spec.nonResourceAttributes: Invalid value: {"path":"/","verb":"get"}: disallowed on this kind of request'
    )


async def test_selectors_are_given_in_one_form(api: Cluster) -> None:
    term = {"key": "a", "operator": "In", "values": ["b"]}

    async def said(kind: str, selector: dict[str, Any]) -> str:
        spec = {"resourceAttributes": {**READ_PODS, kind: selector}}
        return await refusal(api, SELF_SUBJECT_ACCESS_REVIEWS, {"spec": spec})

    for kind in ("fieldSelector", "labelSelector"):
        at = f"spec.resourceAttributes.{kind}"
        assert await said(kind, {"rawSelector": "a=b", "requirements": [term]}) == (
            f'{at}.rawSelector: Invalid value: "a=b": may not specified at the same time as requirements'
        )
        assert await said(kind, {}) == (
            f"{at}.requirements: Required value: when {at} is specified, requirements or rawSelector is required"
        )
        assert await said(kind, {"requirements": [{**term, "values": []}]}) == (
            f"{at}.requirements[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"
        )
    assert await said("fieldSelector", {"requirements": [{**term, "key": ""}]}) == (
        "spec.resourceAttributes.fieldSelector.requirements[0].key: Required value: must be specified"
    )


async def test_what_a_selector_says_in_unknown_words_is_passed_over_and_told(api: Cluster) -> None:
    later = {"key": "a", "operator": "Near", "values": ["b"]}
    good = {"key": "a", "operator": "In", "values": ["b"]}
    attributes = {
        **READ_PODS,
        "fieldSelector": {"requirements": [good, {**good, "values": ["b", "c"]}]},
        "labelSelector": {"requirements": [later]},
    }
    answer = await api.client.create(SELF_SUBJECT_ACCESS_REVIEWS, {"spec": {"resourceAttributes": attributes}})
    assert answer["status"] == {
        "allowed": True,
        "evaluationError": (
            "[spec.resourceAttributes.fieldSelector partially ignored due to parse error: fieldSelectors do not yet "
            "support multiple values, spec.resourceAttributes.labelSelector ignored due to parse error: "
            '"Near" is not a valid label selector operator]'
        ),
    }


@given(st.text())
def test_any_raw_selector_is_understood_or_told_of(text: str) -> None:
    told = ignored({"fieldSelector": {"rawSelector": text}, "labelSelector": {"rawSelector": text}})
    assert "partially" not in told
    assert told == "" or "ignored due to parse error: " in told


async def test_a_rules_review_answers_without_the_question(api: Cluster) -> None:
    answer = await api.client.create(SELF_SUBJECT_RULES_REVIEWS, {"spec": {"namespace": "default"}})
    assert answer["spec"] == {}
    assert answer["status"]["incomplete"] is False
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    assert answer["status"]["resourceRules"].count(everything) == 1
    with pytest.raises(StatusError) as refused:
        await api.client.create(SELF_SUBJECT_RULES_REVIEWS, {"spec": {}})
    assert (refused.value.code, refused.value.message) == (400, "no namespace on request")
