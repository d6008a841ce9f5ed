"""A resourceVersion in an object that is to be created: the storage minds it, and nobody before."""

from typing import Any

import pytest

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.mark.parametrize(
    ("target", "revision", "status"),
    [
        (MAPS, "7", 500),
        (f"{MAPS}?dryRun=All", "7", 201),
        (MAPS, "0", 201),
        (MAPS, "seven", 201),
        (MAPS, str(1 << 64), 201),
    ],
)
async def test_only_the_storage_minds_a_revision_on_create(web: Any, target: str, revision: str, status: int) -> None:
    for name in ("first", "second"):  # the second would be put together from the first, were it to be learnt from
        found, made = await web("POST", target, {"metadata": {"name": name, "resourceVersion": revision}})
        assert found == status
        assert status == 500 or made["metadata"].get("resourceVersion") != revision
        if status == 500:
            assert made["message"] == "resourceVersion should not be set on objects to be created"
            assert (await web("GET", f"{MAPS}/{name}"))[0] == 404


async def test_validation_comes_before_a_revision_on_create(web: Any) -> None:
    status, answer = await web("POST", MAPS, {"metadata": {"name": "A", "resourceVersion": "7"}})
    assert (status, answer["reason"]) == (422, "Invalid")
