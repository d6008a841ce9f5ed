"""Bad input, and the exact Status it is answered with."""

from typing import Any

import pytest

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
JSON = {"Content-Type": "application/json"}
MERGE = {"Content-Type": "application/merge-patch+json"}
CONFIG = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "c"}}
POD = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {"name": "p"},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}

Case = tuple[str, str, str, Any, dict[str, str], int, str, str]

CASES: list[Case] = [
    # what, method, target, body, headers, code, reason, message
    ("missing", "GET", f"{MAPS}/x", b"", {}, 404, "NotFound", 'configmaps "x" not found'),
    (
        "unknown resource",
        "GET",
        "/api/v1/namespaces/default/widgets",
        b"",
        {},
        404,
        "NotFound",
        "the server could not find the requested resource",
    ),
    (
        "unknown subresource",
        "GET",
        f"{MAPS}/kept/status",
        b"",
        {},
        404,
        "NotFound",
        "the server could not find the requested resource",
    ),
    (
        "method",
        "PUT",
        MAPS,
        CONFIG,
        {},
        405,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
    ),
    (
        "duplicate",
        "POST",
        MAPS,
        {**CONFIG, "metadata": {"name": "kept"}},
        {},
        409,
        "AlreadyExists",
        'configmaps "kept" already exists',
    ),
    (
        "empty body",
        "POST",
        MAPS,
        b"",
        {},
        400,
        "BadRequest",
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; "
        "json parse error: unexpected end of JSON input (<empty>)",
    ),
    (
        "malformed JSON",
        "POST",
        MAPS,
        b'{"kind":"ConfigMap",}',
        {},
        400,
        "BadRequest",
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: "
        'invalid character \'}\' looking for beginning of object key string ({"kind":"ConfigMap",})',
    ),
    (
        "not JSON at all",
        "POST",
        MAPS,
        b"hello",
        {},
        400,
        "BadRequest",
        "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: "
        "invalid character 'h' looking for beginning of value (68656c6c6f)",
    ),
    (
        "wrong kind",
        "POST",
        MAPS,
        POD,
        {},
        400,
        "BadRequest",
        'Pod in version "v1" cannot be handled as a ConfigMap: converting (v1.Pod) to (core.ConfigMap): '
        "unknown conversion",
    ),
    (
        "unknown kind",
        "POST",
        MAPS,
        {**CONFIG, "kind": "Widget"},
        {},
        400,
        "BadRequest",
        'Widget in version "v1" cannot be handled as a ConfigMap: no kind "Widget" is registered for version "v1" '
        'in scheme "pkg/api/legacyscheme/scheme.go:30"',
    ),
    (
        "another version of the kind",
        "POST",
        "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers",
        {"kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v1", "metadata": {"name": "h"}},
        {},
        400,
        "BadRequest",
        "the API version in the data (autoscaling/v1) does not match the expected API version (autoscaling/v2)",
    ),
    (
        "wrong type",
        "POST",
        MAPS,
        {**CONFIG, "data": {"a": 1}},
        {},
        400,
        "BadRequest",
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct '
        "field ConfigMap.data of type string",
    ),
    (
        "unknown field, strict",
        "POST",
        f"{MAPS}?fieldValidation=Strict",
        {**CONFIG, "foo": 1},
        {},
        400,
        "BadRequest",
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "foo"',
    ),
    (
        "a resourceVersion",
        "POST",
        MAPS,
        {**CONFIG, "metadata": {"name": "c", "resourceVersion": "7"}},
        {},
        500,
        "",
        "resourceVersion should not be set on objects to be created",
    ),
    (
        "no name",
        "POST",
        MAPS,
        {},
        {},
        422,
        "Invalid",
        'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
    ),
    (
        "another namespace",
        "POST",
        MAPS,
        {**CONFIG, "metadata": {"name": "c", "namespace": "other"}},
        {},
        400,
        "BadRequest",
        "the namespace of the provided object does not match the namespace sent on the request",
    ),
    (
        "a missing namespace",
        "POST",
        "/api/v1/namespaces/nowhere/configmaps",
        CONFIG,
        {},
        404,
        "NotFound",
        'namespaces "nowhere" not found',
    ),
    (
        "another name in the URL",
        "PUT",
        f"{MAPS}/kept",
        CONFIG,
        {},
        400,
        "BadRequest",
        "the name of the object (c) does not match the name on the URL (kept)",
    ),
    (
        "no name in an update",
        "PUT",
        f"{MAPS}/kept",
        {},
        {},
        400,
        "BadRequest",
        "the name of the object (kept based on URL) was undeterminable: name must be provided",
    ),
    (
        "a UID that is not the object's",
        "PUT",
        f"{MAPS}/kept",
        {"metadata": {"name": "kept", "uid": "other"}},
        {},
        409,
        "Conflict",
        'Operation cannot be fulfilled on configmaps "kept": StorageError: invalid object, Code: 4, Key: '
        "/registry/configmaps/default/kept, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in "
        "precondition: other, UID in object meta: UID",
    ),
    (
        "dryRun",
        "POST",
        f"{MAPS}?dryRun=Some",
        CONFIG,
        {},
        422,
        "Invalid",
        'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"',
    ),
    (
        "fieldValidation",
        "POST",
        f"{MAPS}?fieldValidation=Maybe",
        CONFIG,
        {},
        422,
        "Invalid",
        'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Maybe": supported values: '
        '"", "Ignore", "Strict", "Warn"',
    ),
    (
        "body format",
        "POST",
        MAPS,
        b"<xml/>",
        {"Content-Type": "text/xml"},
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: application/json, "
        "application/yaml, application/vnd.kubernetes.protobuf",
    ),
    (
        "patch format",
        "PATCH",
        f"{MAPS}/kept",
        {},
        JSON,
        415,
        "UnsupportedMediaType",
        "415: Unsupported Media Type",
    ),
    (
        "answer format",
        "GET",
        MAPS,
        b"",
        {"Accept": "text/html"},
        406,
        "NotAcceptable",
        "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, "
        "application/vnd.kubernetes.protobuf",
    ),
    (
        "resourceVersion",
        "GET",
        f"{MAPS}?resourceVersion=x",
        b"",
        {},
        400,
        "BadRequest",
        'invalid resource version: resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax',
    ),
    (
        "limit",
        "GET",
        f"{MAPS}?limit=x",
        b"",
        {},
        400,
        "BadRequest",
        'strconv.ParseInt: parsing "x": invalid syntax',
    ),
    (
        "resourceVersionMatch alone",
        "GET",
        f"{MAPS}?resourceVersionMatch=Exact",
        b"",
        {},
        422,
        "Invalid",
        'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden '
        "unless resourceVersion is provided",
    ),
    (
        "field selector",
        "GET",
        f"{MAPS}?fieldSelector=spec.foo%3Dbar",
        b"",
        {},
        400,
        "BadRequest",
        '"spec.foo" is not a known field selector: only "metadata.name", "metadata.namespace"',
    ),
    (
        "label selector",
        "GET",
        f"{MAPS}?labelSelector=a%3D%3Db%3Dc",
        b"",
        {},
        400,
        "BadRequest",
        "found '=', expected: ',' or 'end of string'",
    ),
    (
        "continue",
        "GET",
        f"{MAPS}?limit=1&continue=eHg",
        b"",
        {},
        400,
        "BadRequest",
        "invalid continue token: continue key is not valid: invalid character 'x' looking for beginning of value",
    ),
    (
        "propagation policy",
        "DELETE",
        f"{MAPS}/kept",
        {"propagationPolicy": "Sometimes"},
        {},
        422,
        "Invalid",
        'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Sometimes": supported values: '
        '"Foreground", "Background", "Orphan", "nil"',
    ),
    (
        "patch of a wrong type",
        "PATCH",
        f"{MAPS}/kept",
        {"data": {"a": 1}},
        MERGE,
        422,
        "Invalid",
        ' "" is invalid: patch: Invalid value: PATCHED: json: cannot unmarshal number into Go struct field '
        "ConfigMap.data of type string",
    ),
    (
        "a system namespace",
        "DELETE",
        "/api/v1/namespaces/kube-system",
        b"",
        {},
        403,
        "Forbidden",
        'namespaces "kube-system" is forbidden: this namespace may not be deleted',
    ),
    (
        "priority class",
        "POST",
        PODS,
        {**POD, "spec": {**POD["spec"], "priorityClassName": "gold"}},  # type: ignore[dict-item]
        {},
        403,
        "Forbidden",
        'pods "p" is forbidden: no PriorityClass with name gold was found',
    ),
    (
        "service account",
        "POST",
        PODS,
        {**POD, "metadata": {"generateName": "web-"}, "spec": {**POD["spec"], "serviceAccountName": "x"}},  # type: ignore[dict-item]
        {},
        403,
        "Forbidden",
        'pods "web-" is forbidden: error looking up service account default/x: serviceaccount "x" not found',
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
async def test_bad_input_is_refused_in_kubernetes_words(case: Case, web: Any) -> None:
    _, method, target, body, headers, code, reason, message = case
    _, kept = await web("POST", MAPS, {"metadata": {"name": "kept"}})
    before = web.registry.bus.revision
    status, answer = await web(method, target, body, headers)
    assert answer["message"] == _filled(message, kept)
    assert (status, answer["code"], answer.get("reason", "")) == (code, code, reason)
    assert (answer["kind"], answer["apiVersion"], answer["status"]) == ("Status", "v1", "Failure")
    assert web.registry.bus.revision == before, "nothing was written"


def _filled(message: str, kept: dict[str, Any]) -> str:
    import json

    patched = json.dumps(json.dumps({**kept, "data": {"a": 1}}, separators=(",", ":")))
    return message.replace("object meta: UID", f"object meta: {kept['metadata']['uid']}").replace("PATCHED", patched)


async def test_an_unknown_group_is_nobodys_path(web: Any) -> None:
    assert await web("GET", "/apis/example.com/v1/widgets") == (404, "404 page not found\n")


async def test_a_refused_method_says_which_are_allowed(web: Any) -> None:
    from kubrick_api.errors import StatusError

    with pytest.raises(StatusError) as refused:
        await web.respond("PATCH", MAPS, {}, MERGE)
    assert refused.value.headers == (("Allow", "DELETE, GET, POST"),)


async def test_all_that_is_wrong_with_an_object_is_said_at_once(web: Any) -> None:
    status, answer = await web("POST", PODS, {"metadata": {"name": "Bad_Name", "labels": {"-": "x"}}, "spec": {}})
    assert status == 422
    fields = {cause["field"] for cause in answer["details"]["causes"]}
    assert {"metadata.name", "metadata.labels", "spec.containers"} <= fields
