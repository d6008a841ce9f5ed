"""Access reviews, asked of a running API server."""

import pytest

from kubrick_api.errors import StatusError
from kubrick_api_authorization import SELF_SUBJECT_ACCESS_REVIEWS, SELF_SUBJECT_RULES_REVIEWS, SUBJECT_ACCESS_REVIEWS
from kubrick_testing import run_cluster

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
