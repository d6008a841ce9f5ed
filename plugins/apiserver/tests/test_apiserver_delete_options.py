"""DeleteOptions that can't be read: kube-apiserver says so with 500, since it passes its decoder's errors on."""

from typing import Any

import pytest

from kubrick_apiserver.negotiation import PROTOBUF, YAML

MAPS = "/api/v1/namespaces/default/configmaps"
PARSE = "couldn't get version/kind; json parse error: "
HEAD = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
SCHEME = "pkg/apis/meta/internalversion/scheme/register.go:27"
INTO = "into Go struct field"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", f"{PARSE}unexpected end of JSON input"),
        (b"nope", f"{PARSE}invalid character 'o' in literal null (expecting 'u')"),
        (b"[]", f"{PARSE}json: cannot unmarshal array into Go value of type {HEAD}"),
        (b"[1]", f"{PARSE}json: cannot unmarshal array into Go value of type {HEAD}"),
        (b'""', f"{PARSE}json: cannot unmarshal string into Go value of type {HEAD}"),
        (b"0", f"{PARSE}json: cannot unmarshal number into Go value of type {HEAD}"),
        (b'{"kind": []}', f"{PARSE}json: cannot unmarshal array {INTO} .kind of type string"),
        (b'{"kind": "Pod"}', f'no kind "Pod" is registered for version "v1" in scheme "{SCHEME}"'),
        (
            b'{"kind": "Pod", "apiVersion": "a/v9"}',
            f'no kind "Pod" is registered for version "a/v9" in scheme "{SCHEME}"',
        ),
        (b'{"dryRun": [1]}', f"json: cannot unmarshal number {INTO} DeleteOptions.dryRun of type string"),
        (b'{"dryRun": "All"}', f"json: cannot unmarshal string {INTO} DeleteOptions.dryRun of type []string"),
        (
            b'{"gracePeriodSeconds": 1.5}',
            f"json: cannot unmarshal number 1.5 {INTO} DeleteOptions.gracePeriodSeconds of type int64",
        ),
        (
            b'{"gracePeriodSeconds": 9223372036854775808}',
            f"json: cannot unmarshal number 9223372036854775808 {INTO} DeleteOptions.gracePeriodSeconds of type int64",
        ),
        (
            b'{"preconditions": {"uid": 1}}',
            f"json: cannot unmarshal number {INTO} Preconditions.preconditions.uid of type types.UID",
        ),
    ],
)
async def test_options_that_are_none_are_a_servers_error(body: bytes, message: str, web: Any) -> None:
    await web("POST", MAPS, {"metadata": {"name": "kept"}})
    before = web.registry.bus.revision
    for target in (f"{MAPS}/kept", MAPS):
        status, answer = await web("DELETE", target, body)
        assert (status, answer["code"], answer["message"]) == (500, 500, message)
        assert "reason" not in answer
    assert web.registry.bus.revision == before


@pytest.mark.parametrize("media", [YAML, PROTOBUF])
async def test_other_decoders_speak_for_themselves(media: str, web: Any) -> None:
    status, answer = await web("DELETE", f"{MAPS}/kept", b"[", {"content-type": media})
    assert status == 500
    assert "json parse error" not in answer["message"]


@pytest.mark.parametrize("body", [b"[" * 300 + b"]" * 300, b"[" * 2000 + b"]" * 2000, b'{"x": 1e400}'])
async def test_a_limit_of_our_own_is_no_servers_error(body: bytes, web: Any) -> None:
    status, answer = await web("DELETE", f"{MAPS}/kept", body)
    assert (status, answer["reason"]) == (400, "BadRequest")


async def test_the_selection_of_a_collection_is_read_before_the_options(web: Any) -> None:
    status, answer = await web("DELETE", f"{MAPS}?limit=x", b"{")
    assert (status, answer["reason"]) == (400, "BadRequest")


@pytest.mark.parametrize("body", [b"{}", b"null", b'{"kind": "", "apiVersion": null}'])
async def test_options_that_say_nothing_delete(body: bytes, web: Any) -> None:
    await web("POST", MAPS, {"metadata": {"name": "kept"}})
    status, _ = await web("DELETE", f"{MAPS}/kept", body)
    assert status == 200
