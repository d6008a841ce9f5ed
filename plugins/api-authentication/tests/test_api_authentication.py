"""Who somebody is, asked of a running API server."""

from pathlib import Path
from typing import Any

import pytest

from kubrick_api.errors import StatusError
from kubrick_api_authentication import SELF_SUBJECT_REVIEWS, TOKEN_REVIEWS
from kubrick_testing import run_cluster


async def test_the_caller_learns_who_they_are() -> None:
    async with run_cluster("api") as cluster:
        client = cluster.client_of("ann", ("system:masters",))
        me = await client.create(SELF_SUBJECT_REVIEWS, {})
        assert me["status"]["userInfo"]["username"] == "ann"
        assert "system:authenticated" in me["status"]["userInfo"]["groups"]


async def test_an_unknown_token_is_nobodys_and_none_at_all_is_a_mistake() -> None:
    async with run_cluster("api") as cluster:
        unknown = await cluster.client.create(TOKEN_REVIEWS, {"spec": {"token": "nonsense"}})
        assert unknown["status"] == {"user": {}, "error": "invalid bearer token"}
        with pytest.raises(StatusError) as refused:
            await cluster.client.create(TOKEN_REVIEWS, {"spec": {}})
        assert (refused.value.code, refused.value.message) == (
            400,
            "token is required for TokenReview in authentication",
        )


async def test_a_token_that_says_nothing_of_audiences_is_for_this_server_alone(tmp_path: Path) -> None:
    file = tmp_path / "tokens.csv"
    file.write_text("secret,ann,1\n")
    async with run_cluster("api", settings={"apiserver": {"token_file": str(file)}}) as cluster:

        async def review(*audiences: str) -> dict[str, Any]:
            made = await cluster.client.create(TOKEN_REVIEWS, {"spec": {"token": "secret", "audiences": [*audiences]}})
            status: dict[str, Any] = made["status"]
            return status

        own = await review()
        assert own["authenticated"]
        assert own["user"]["username"] == "ann"
        (here,) = own["audiences"]
        assert (await review("vault", here))["audiences"] == [here]
        assert await review("vault") == {"user": {}, "error": "invalid bearer token"}
