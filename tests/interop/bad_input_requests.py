"""Requests that ask for what isn't there, can't be, or may not be: paths, verbs, patches, options, lists, users."""

# ruff: noqa: E501 -- messages stand whole, to be searched for

from bad_input_client import MERGE, PATCH, STRATEGIC, Case, Json, causes, patch
from bad_input_decoding import DEPLOYMENTS, MAPS, PODS, SERVICES, config

THERE = f"{MAPS}/there"
NO_RESOURCE = "the server could not find the requested resource"
NO_METHOD = "the server does not allow this method on the requested resource"
REJECTED = "the server rejected our request due to an error in our request"
MISSING = 404, "NotFound", NO_RESOURCE, {}
NOT_ALLOWED = 405, "MethodNotAllowed", NO_METHOD, {}

PATHS = [
    Case("an unknown resource", "GET", "/api/v1/namespaces/default/widgets", None, *MISSING),
    Case("an unknown resource of a group", "GET", "/apis/apps/v1/widgets", None, *MISSING),
    Case("an unknown version", "GET", "/apis/apps/v9/deployments", None, *MISSING),
    Case("an unknown version of the core", "GET", "/api/v9/pods", None, *MISSING),
    Case("an unknown group", "GET", "/apis/example.com/v1/widgets", None, 404, "", "404 page not found\n"),
    Case("an unknown group's discovery", "GET", "/apis/example.com", None, 404, "", "404 page not found\n"),
    Case("an unknown group version's discovery", "GET", "/apis/example.com/v1", None, 404, "", "404 page not found\n"),
    Case("an unknown path", "GET", "/nowhere", None, 404, "", "404 page not found\n"),
    Case("an unknown subresource", "GET", f"{THERE}/status", None, *MISSING),
    Case("an unknown subresource written", "PUT", f"{DEPLOYMENTS}/there/eviction", b"{}", *MISSING),
    Case("an update of a collection", "PUT", MAPS, config(), *NOT_ALLOWED),
    Case(
        "a patch of a collection",
        "PATCH",
        MAPS,
        b"{}",
        *NOT_ALLOWED,
        headers={"Content-Type": "application/merge-patch+json"},
    ),
    Case("a create with a name", "POST", THERE, config("there"), *NOT_ALLOWED),
    Case("a create in no namespace", "POST", "/api/v1/configmaps", config(), *NOT_ALLOWED),
    Case("a method nobody knows", "OPTIONS", THERE, None, *NOT_ALLOWED),
    Case("a review read", "GET", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", None, *NOT_ALLOWED),
]


def decoding(text: str) -> str:
    return f"error decoding patch: {text}"


def bad_patch(shown: str, why: str) -> tuple[int, str, str, Json]:
    """The 422 of a patch whose result can't be decoded."""
    text = f'Invalid value: "{shown}": {why}'
    details: Json = causes(("FieldValueInvalid", text, "patch"))
    return 422, "Invalid", f' "" is invalid: patch: {text}', details


MAP_TYPE = "Go value of type map[string]interface {}"

PATCHES = [
    patch(
        "a test that fails",
        THERE,
        PATCH,
        [{"op": "test", "path": "/data/a", "value": "9"}],
        422,
        "Invalid",
        REJECTED,
        {},
    ),
    patch("an unknown operation", THERE, PATCH, [{"op": "grow", "path": "/data/a"}], 422, "Invalid", REJECTED, {}),
    patch(
        "a path that isn't there", THERE, PATCH, [{"op": "remove", "path": "/data/zzz"}], 422, "Invalid", REJECTED, {}
    ),
    patch(
        "a path into what isn't there",
        THERE,
        PATCH,
        [{"op": "add", "path": "/x/y/z", "value": 1}],
        422,
        "Invalid",
        REJECTED,
        {},
    ),
    patch(
        "a replacement without a value",
        THERE,
        PATCH,
        [{"op": "replace", "path": "/data/a"}],
        422,
        "Invalid",
        REJECTED,
        {},
    ),
    patch(
        "a JSON patch that is an object",
        THERE,
        PATCH,
        {"data": {}},
        400,
        "BadRequest",
        decoding("json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"),
    ),
    patch(
        "a JSON patch of strings",
        THERE,
        PATCH,
        ["remove"],
        400,
        "BadRequest",
        decoding("json: cannot unmarshal string into Go value of type handlers.jsonPatchOp"),
    ),
    patch(
        "an operation that is a number",
        THERE,
        PATCH,
        [{"op": 5, "path": "/data"}],
        400,
        "BadRequest",
        decoding("json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string"),
    ),
    patch(
        "a JSON patch that is an object, unvalidated",
        f"{THERE}?fieldValidation=Ignore",
        PATCH,
        {"data": {}},
        400,
        "BadRequest",
        "json: cannot unmarshal object into Go value of type jsonpatch.Patch",
    ),
    patch("a malformed JSON patch", THERE, PATCH, b"[{", 400, "BadRequest", decoding("unexpected end of JSON input")),
    patch(
        "a JSON patch that makes a wrong type",
        THERE,
        PATCH,
        [{"op": "replace", "path": "/data", "value": "x"}],
        422,
        "Invalid",
        ' "" is invalid: patch: Invalid value: "{...',
        {},
    ),
    patch(
        "too many operations",
        THERE,
        PATCH,
        [{"op": "test", "path": "/data/a", "value": "1"}] * 10001,
        413,
        "RequestEntityTooLarge",
        "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001",
    ),
    patch(
        "a merge patch that is a list",
        THERE,
        MERGE,
        [],
        400,
        "BadRequest",
        decoding(f"json: cannot unmarshal array into {MAP_TYPE}"),
    ),
    patch(
        "a malformed merge patch",
        THERE,
        MERGE,
        b'{"data":',
        400,
        "BadRequest",
        decoding("unexpected end of JSON input"),
    ),
    patch("an empty merge patch", THERE, MERGE, b"", 400, "BadRequest", decoding("unexpected end of JSON input")),
    patch(
        "a merge patch that takes what is required",
        f"{PODS}/there",
        MERGE,
        {"spec": {"containers": None}},
        422,
        "Invalid",
        'Pod "there" is invalid: ...',
        {"name": "there", "kind": "Pod"},
    ),
    patch(
        "a merge patch that takes the selector",
        f"{DEPLOYMENTS}/there",
        MERGE,
        {"spec": {"selector": None}},
        422,
        "Invalid",
        'Deployment.apps "there" is invalid: [spec.selector: Required value, ...',
        {"name": "there", "group": "apps", "kind": "Deployment"},
    ),
    patch(
        "a merge patch of the wrong type",
        f"{DEPLOYMENTS}/there",
        MERGE,
        {"spec": {"replicas": "x"}},
        422,
        "Invalid",
        ' "" is invalid: patch: Invalid value: "{...',
        {},
    ),
    patch(
        "a merge patch that renames",
        THERE,
        MERGE,
        {"metadata": {"name": "other"}},
        400,
        "BadRequest",
        "the name of the object (other) does not match the name on the URL (there)",
    ),
    patch(
        "a merge patch that moves",
        THERE,
        MERGE,
        {"metadata": {"namespace": "other"}},
        400,
        "BadRequest",
        "the namespace of the provided object does not match the namespace sent on the request",
    ),
    patch(
        "a merge patch of what is stale",
        THERE,
        MERGE,
        {"metadata": {"resourceVersion": "1"}, "data": {"x": "y"}},
        409,
        "Conflict",
        'Operation cannot be fulfilled on configmaps "there": the object has been modified; please apply your changes to the latest version and try again',
        {"name": "there", "kind": "configmaps"},
    ),
    patch(
        "a merge patch of what isn't there",
        f"{MAPS}/gone",
        MERGE,
        {},
        404,
        "NotFound",
        'configmaps "gone" not found',
        {"name": "gone", "kind": "configmaps"},
    ),
    patch(
        "a JSON patch of what isn't there",
        f"{MAPS}/gone",
        PATCH,
        [],
        404,
        "NotFound",
        'configmaps "gone" not found',
        {"name": "gone", "kind": "configmaps"},
    ),
    patch(
        "a strategic patch that is a list",
        THERE,
        STRATEGIC,
        [],
        400,
        "BadRequest",
        f"json: cannot unmarshal array into {MAP_TYPE}",
    ),
    patch("a malformed strategic patch", THERE, STRATEGIC, b"{", 400, "BadRequest", "unexpected end of JSON input"),
    patch(
        "a label that is a number",
        THERE,
        STRATEGIC,
        {"metadata": {"labels": {"a": 5}}},
        *bad_patch("map[metadata:map[labels:map[a:5]]]", "cannot convert int64 to string"),
    ),
    patch(
        "an annotation that is a boolean",
        THERE,
        STRATEGIC,
        {"metadata": {"annotations": {"a": True}}},
        *bad_patch("map[metadata:map[annotations:map[a:true]]]", "unrecognized type: string"),
    ),
    patch(
        "replicas that are a string",
        f"{DEPLOYMENTS}/there",
        STRATEGIC,
        {"spec": {"replicas": "x"}},
        *bad_patch("map[spec:map[replicas:x]]", "unrecognized type: int32"),
    ),
    patch(
        "containers that are a string",
        f"{DEPLOYMENTS}/there",
        STRATEGIC,
        {"spec": {"template": {"spec": {"containers": "x"}}}},
        *bad_patch("map[spec:map[template:map[spec:map[containers:x]]]]", "cannot restore slice from string"),
    ),
    patch(
        "a spec that is a string",
        f"{DEPLOYMENTS}/there",
        STRATEGIC,
        {"spec": "x"},
        *bad_patch("map[spec:x]", "cannot restore struct from: string"),
    ),
    patch(
        "data that is a list",
        THERE,
        STRATEGIC,
        {"data": ["x"]},
        *bad_patch("map[data:[x]]", "cannot restore map from slice"),
    ),
    patch(
        "an unknown field, strictly",
        f"{THERE}?fieldValidation=Strict",
        STRATEGIC,
        {"dta": {"a": "b"}},
        *bad_patch("map[dta:map[a:b]]", 'strict decoding error: unknown field "dta"'),
    ),
    patch(
        "an unknown field, with a warning",
        f"{THERE}?dryRun=All",
        MERGE,
        {"dta": 1},
        200,
        warnings=['299 - "unknown field \\"dta\\""'],
    ),
    patch(
        "an unknown field of an operation",
        f"{THERE}?dryRun=All",
        PATCH,
        [{"op": "test", "path": "/data/a", "value": "1", "why": 1}],
        200,
        warnings=['299 - "json patch unknown field \\"[0].why\\""'],
    ),
]


def options(kind: str, *wrong: tuple[str, str, str]) -> tuple[int, str, str, Json]:
    """The 422 of an options object."""
    texts = [f"{where}: {text}" for _, text, where in wrong]
    joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details: Json = causes(*wrong, group="meta.k8s.io", kind=kind)
    return 422, "Invalid", f'{kind}.meta.k8s.io "" is invalid: {joined}', details


DRY = ("FieldValueNotSupported", 'Unsupported value: ["Some"]: supported values: "All"', "dryRun")
POLICIES = 'supported values: "Foreground", "Background", "Orphan", "nil"'
POLICY = ("FieldValueNotSupported", f'Unsupported value: "Sideways": {POLICIES}', "propagationPolicy")
SPELLING = 'strconv.ParseInt: parsing "soon": invalid syntax'

OPTIONS = [
    Case("a dry run of sorts", "POST", f"{MAPS}?dryRun=Some", config(), *options("CreateOptions", DRY)),
    Case("an update's", "PUT", f"{THERE}?dryRun=Some", config("there"), *options("UpdateOptions", DRY)),
    patch("a patch's", f"{THERE}?dryRun=Some", MERGE, {}, *options("PatchOptions", DRY)),
    Case("a deletion's", "DELETE", f"{THERE}?dryRun=Some", None, *options("DeleteOptions", DRY)),
    Case("a deletion's, in the body", "DELETE", THERE, {"dryRun": ["Some"]}, *options("DeleteOptions", DRY)),
    Case("a policy", "DELETE", f"{THERE}?propagationPolicy=Sideways", None, *options("DeleteOptions", POLICY)),
    Case("a policy in the body", "DELETE", THERE, {"propagationPolicy": "Sideways"}, *options("DeleteOptions", POLICY)),
    Case(
        "two policies",
        "DELETE",
        THERE,
        {"propagationPolicy": "Orphan", "orphanDependents": True},
        *options(
            "DeleteOptions",
            (
                "FieldValueInvalid",
                'Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set',
                "propagationPolicy",
            ),
        ),
    ),
    Case("a grace period that is no number", "DELETE", f"{THERE}?gracePeriodSeconds=soon", None, message=SPELLING),
    Case(
        "a grace period that is a string",
        "DELETE",
        THERE,
        {"gracePeriodSeconds": "soon"},
        500,
        "",
        "json: cannot unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds of type int64",
    ),
    Case(
        "malformed options",
        "DELETE",
        THERE,
        b"{",
        500,
        "",
        "couldn't get version/kind; json parse error: unexpected end of JSON input",
    ),
    Case(
        "a field manager that is too long",
        "POST",
        f"{MAPS}?fieldManager={'x' * 129}",
        config(),
        *options("CreateOptions", ("FieldValueTooLong", "Too long: may not be more than 128 bytes", "fieldManager")),
    ),
    patch(
        "force without apply",
        f"{THERE}?force=true",
        MERGE,
        {},
        *options(
            "PatchOptions", ("FieldValueForbidden", "Forbidden: may not be specified for non-apply patch", "force")
        ),
    ),
]

MATCH = "resourceVersionMatch"


def match(text: str) -> tuple[str, str, str]:
    return "FieldValueForbidden", f"Forbidden: {text}", MATCH


LISTS = [
    Case("a limit that is no number", "GET", f"{MAPS}?limit=soon", message=SPELLING),
    Case(
        "a limit that is no int64",
        "GET",
        f"{MAPS}?limit=9223372036854775808",
        message='strconv.ParseInt: parsing "9223372036854775808": value out of range',
    ),
    Case("a timeout that is no number", "GET", f"{MAPS}?timeoutSeconds=soon", message=SPELLING),
    Case(
        "a token that is no base64",
        "GET",
        f"{MAPS}?limit=1&continue=%25%25",
        message="invalid continue token: continue key is not valid: illegal base64 data at input byte 0",
    ),
    Case(
        "a token that is no JSON",
        "GET",
        f"{MAPS}?continue=aGVsbG8",
        message="invalid continue token: continue key is not valid: invalid character 'h' looking for beginning of value",
    ),
    Case(
        "a token of another version",
        "GET",
        f"{MAPS}?continue=eyJ2IjoieCIsInJ2IjoxLCJzdGFydCI6ImEifQ",
        message="invalid continue token: continue key is not valid: server does not recognize this encoded version x",
    ),
    Case(
        "a token and a version",
        "GET",
        f"{MAPS}?continue={{token}}&resourceVersion={{there_rv}}",
        message="specifying resource version is not allowed when using continue",
    ),
    Case(
        "a negative version",
        "GET",
        f"{MAPS}?resourceVersion=-1",
        message='invalid resource version: resourceVersion: Invalid value: "-1": strconv.ParseUint: parsing "-1": invalid syntax',
    ),
    Case(
        "a version that is no number",
        "GET",
        f"{MAPS}?resourceVersion=new",
        message='invalid resource version: resourceVersion: Invalid value: "new": strconv.ParseUint: parsing "new": invalid syntax',
    ),
    Case(
        "a match of nothing",
        "GET",
        f"{MAPS}?{MATCH}=Exact",
        None,
        *options("ListOptions", match(f"{MATCH} is forbidden unless resourceVersion is provided")),
    ),
    Case(
        "a match of version 0",
        "GET",
        f"{MAPS}?{MATCH}=Exact&resourceVersion=0",
        None,
        *options("ListOptions", match(f'{MATCH} "exact" is forbidden for resourceVersion "0"')),
    ),
    Case(
        "an unknown match",
        "GET",
        f"{MAPS}?{MATCH}=About&resourceVersion=1",
        None,
        *options(
            "ListOptions",
            (
                "FieldValueNotSupported",
                'Unsupported value: "About": supported values: "Exact", "NotOlderThan", ""',
                MATCH,
            ),
        ),
    ),
    Case(
        "a match and a token",
        "GET",
        f"{MAPS}?{MATCH}=Exact&continue={{token}}",
        None,
        *options(
            "ListOptions",
            match(f"{MATCH} is forbidden unless resourceVersion is provided"),
            match(f"{MATCH} is forbidden when continue is provided"),
        ),
    ),
    Case(
        "initial events of a list",
        "GET",
        f"{MAPS}?sendInitialEvents=true",
        None,
        *options(
            "ListOptions",
            ("FieldValueForbidden", "Forbidden: sendInitialEvents is forbidden for list", "sendInitialEvents"),
        ),
    ),
    Case(
        "a match of a watch",
        "GET",
        f"{MAPS}?watch=1&{MATCH}=NotOlderThan&resourceVersion=1",
        None,
        *options("ListOptions", match(f"{MATCH} is forbidden for watch unless sendInitialEvents is provided")),
    ),
    Case(
        "initial events without a match",
        "GET",
        f"{MAPS}?watch=1&sendInitialEvents=true",
        None,
        *options("ListOptions", match(f"sendInitialEvents requires setting {MATCH} to NotOlderThan")),
    ),
    Case(
        "a version from the future",
        "GET",
        f"{MAPS}?resourceVersion=999999999",
        None,
        504,
        "Timeout",
        "Timeout: Too large resource version: 999999999, current: {revision}",
        {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        },
    ),
    Case(
        "an object from the future",
        "GET",
        f"{THERE}?resourceVersion=999999999",
        None,
        504,
        "Timeout",
        "Timeout: Too large resource version: 999999999, current: {revision}",
        {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        },
    ),
    Case(
        "a field nobody knows",
        "GET",
        f"{MAPS}?fieldSelector=data.a=1",
        message='"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"',
    ),
    Case(
        "a field a pod doesn't have",
        "GET",
        f"{PODS}?fieldSelector=spec.color=red",
        message="field label not supported: spec.color",
    ),
    Case(
        "a field selector without an operator",
        "GET",
        f"{MAPS}?fieldSelector=metadata.name",
        message="invalid selector: 'metadata.name'; can't understand 'metadata.name'",
    ),
    Case(
        "a label selector with two values",
        "GET",
        f"{MAPS}?labelSelector=a%3Db%3Dc",
        message="found '=', expected: ',' or 'end of string'",
    ),
    Case(
        "a label selector that ends early",
        "GET",
        f"{MAPS}?labelSelector=a%20in%20(b",
        message="unable to parse requirement: found '', expected: ',' or ')'",
    ),
    Case(
        "a label selector of an unknown operator",
        "GET",
        f"{MAPS}?labelSelector=a%20of%20b",
        message="unable to parse requirement: found 'of', expected: in, notin, =, ==, !=, gt, lt",
    ),
    Case(
        "a label selector of nothing",
        "GET",
        f"{MAPS}?labelSelector=%3Db",
        message="found '=', expected: !, identifier, or 'end of string'",
    ),
    Case(
        "a label selector that goes on",
        "GET",
        f"{MAPS}?labelSelector=a,",
        message="found '', expected: identifier after ','",
    ),
    Case(
        "a label selector of an invalid value",
        "GET",
        f"{MAPS}?labelSelector=a%3D-",
        message="unable to parse requirement: values[0][a]: Invalid value: \"-\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
    ),
    Case(
        "a deletion by an unknown field",
        "DELETE",
        f"{MAPS}?fieldSelector=data.a=1",
        message='"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"',
    ),
]

NOBODY = [
    Case(
        "a list",
        "GET",
        MAPS,
        None,
        403,
        "Forbidden",
        'configmaps is forbidden: User "system:anonymous" cannot list resource "configmaps" in API group "" in the namespace "default"',
        {"kind": "configmaps"},
    ),
    Case(
        "an object",
        "GET",
        THERE,
        None,
        403,
        "Forbidden",
        'configmaps "there" is forbidden: User "system:anonymous" cannot get resource "configmaps" in API group "" in the namespace "default"',
        {"name": "there", "kind": "configmaps"},
    ),
    Case(
        "a write",
        "POST",
        DEPLOYMENTS,
        {},
        403,
        "Forbidden",
        'deployments.apps is forbidden: User "system:anonymous" cannot create resource "deployments" in API group "apps" in the namespace "default"',
        {"group": "apps", "kind": "deployments"},
    ),
    Case(
        "a subresource",
        "PUT",
        f"{SERVICES}/there/status",
        {},
        403,
        "Forbidden",
        'services "there" is forbidden: User "system:anonymous" cannot update resource "services/status" in API group "" in the namespace "default"',
        {"name": "there", "kind": "services"},
    ),
    Case(
        "a node",
        "DELETE",
        "/api/v1/nodes/n",
        None,
        403,
        "Forbidden",
        'nodes "n" is forbidden: User "system:anonymous" cannot delete resource "nodes" in API group "" at the cluster scope',
        {"name": "n", "kind": "nodes"},
    ),
    Case(
        "a path",
        "GET",
        "/metrics",
        None,
        403,
        "Forbidden",
        'forbidden: User "system:anonymous" cannot get path "/metrics"',
        {},
    ),
    Case(
        "an unknown token",
        "GET",
        MAPS,
        None,
        401,
        "Unauthorized",
        "Unauthorized",
        headers={"Authorization": "Bearer nonsense"},
    ),
    Case(
        "impersonation",
        "GET",
        MAPS,
        None,
        403,
        "Forbidden",
        'users "root" is forbidden: User "system:anonymous" cannot impersonate resource "users" in API group "" at the cluster scope',
        {"name": "root", "kind": "users"},
        headers={"Impersonate-User": "root"},
    ),
]

SOMEBODY = [
    Case(
        "somebody else's list",
        "GET",
        MAPS,
        None,
        403,
        "Forbidden",
        'configmaps is forbidden: User "jane" cannot list resource "configmaps" in API group "" in the namespace "default"',
        {"kind": "configmaps"},
        headers={"Impersonate-User": "jane"},
    ),
]
