"""Bodies that aren't what they should be: syntax, types, unknown fields, kinds, formats, sizes."""

# ruff: noqa: E501 -- messages stand whole, to be searched for

from bad_input_client import Case, Json

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
SERVICES = "/api/v1/namespaces/default/services"
SECRETS = "/api/v1/namespaces/default/secrets"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
YAML = {"Content-Type": "application/yaml"}


def config(name: str = "new", **fields: object) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **fields}


def pod(name: str = "new", **spec: object) -> Json:
    spec = {"containers": [{"name": "c", "image": "i"}], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def deployment(**spec: object) -> Json:
    template = {"metadata": {"labels": {"app": "new"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"app": "new"}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "new"}, "spec": spec}


CONFIG_HEAD = 'ConfigMap in version "v1" cannot be handled as a ConfigMap: '
POD_HEAD = 'Pod in version "v1" cannot be handled as a Pod: '
DEPLOYMENT_HEAD = 'Deployment in version "v1" cannot be handled as a Deployment: '
SERVICE_HEAD = 'Service in version "v1" cannot be handled as a Service: '
SECRET_HEAD = 'Secret in version "v1" cannot be handled as a Secret: '
UNRECOGNIZED = "the object provided is unrecognized (must be of type ConfigMap): "
NO_KIND = f"{UNRECOGNIZED}couldn't get version/kind; json parse error: "
QUANTITY = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
GO_STRUCT = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
TWICE = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"new"},"data":{"a":"1","a":"2"},"dta":{"x":1,"x":2}}'
YAML_TWICE = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: new\ndata:\n  a: x\n  a: y\ndta: 1\n"

UNKNOWN_FIELDS = [
    Case(
        "strict",
        "POST",
        f"{MAPS}?fieldValidation=Strict",
        config(dta={}),
        message=CONFIG_HEAD + 'strict decoding error: unknown field "dta"',
    ),
    Case(
        "strict, two",
        "POST",
        f"{PODS}?fieldValidation=Strict",
        pod(containers=[{"name": "c", "image": "i", "imag": 1}], hostnam="x"),
        message=POD_HEAD
        + 'strict decoding error: unknown field "spec.containers[0].imag", unknown field "spec.hostnam"',
    ),
    Case(
        "warn",
        "POST",
        f"{MAPS}?dryRun=All&fieldValidation=Warn",
        config(dta={}),
        201,
        warnings=['299 - "unknown field \\"dta\\""'],
    ),
    Case(
        "the default is to warn",
        "POST",
        f"{MAPS}?dryRun=All",
        config(dta={}),
        201,
        warnings=['299 - "unknown field \\"dta\\""'],
    ),
    Case("ignore", "POST", f"{MAPS}?dryRun=All&fieldValidation=Ignore", config(dta={}), 201, warnings=[]),
    Case(
        "neither",
        "POST",
        f"{MAPS}?fieldValidation=Loud",
        config(),
        422,
        "Invalid",
        'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Loud": '
        'supported values: "", "Ignore", "Strict", "Warn"',
        {
            "group": "meta.k8s.io",
            "kind": "CreateOptions",
            "causes": [
                {
                    "reason": "FieldValueNotSupported",
                    "message": 'Unsupported value: "Loud": supported values: "", "Ignore", "Strict", "Warn"',
                    "field": "fieldValidation",
                }
            ],
        },
    ),
    Case(
        "twice, strict",
        "POST",
        f"{MAPS}?fieldValidation=Strict",
        TWICE,
        message=CONFIG_HEAD + 'strict decoding error: duplicate field "data.a", unknown field "dta"',
    ),
    Case(
        "twice, warn",
        "POST",
        f"{MAPS}?dryRun=All",
        TWICE,
        201,
        warnings=['299 - "duplicate field \\"data.a\\""', '299 - "unknown field \\"dta\\""'],
    ),
    Case("twice, ignore", "POST", f"{MAPS}?dryRun=All&fieldValidation=Ignore", TWICE, 201, warnings=[]),
    Case(
        "twice in YAML, strict",
        "POST",
        f"{MAPS}?fieldValidation=Strict",
        YAML_TWICE,
        message=CONFIG_HEAD
        + 'strict decoding error: yaml: unmarshal errors:\n  line 7: key "a" already set in map, unknown field "dta"',
        headers=YAML,
    ),
    Case(
        "twice in YAML, warn",
        "POST",
        f"{MAPS}?dryRun=All",
        YAML_TWICE,
        201,
        headers=YAML,
        warnings=['299 - "line 7: key \\"a\\" already set in map"', '299 - "unknown field \\"dta\\""'],
    ),
]

WRONG_TYPES = [
    Case(
        "a label that is a number",
        "POST",
        MAPS,
        {**config(), "metadata": {"name": "new", "labels": {"app": 5}}},
        message=CONFIG_HEAD
        + "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
    ),
    Case(
        "labels that are a list",
        "POST",
        MAPS,
        {**config(), "metadata": {"name": "new", "labels": []}},
        message=CONFIG_HEAD
        + "json: cannot unmarshal array into Go struct field ObjectMeta.metadata.labels of type map[string]string",
    ),
    Case(
        "metadata that is a string",
        "POST",
        MAPS,
        {**config(), "metadata": "new"},
        message=CONFIG_HEAD
        + "json: cannot unmarshal string into Go struct field ConfigMap.metadata of type v1.ObjectMeta",
    ),
    Case(
        "a name that is a number",
        "POST",
        MAPS,
        {**config(), "metadata": {"name": 7}},
        message=CONFIG_HEAD
        + "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.name of type string",
    ),
    Case(
        "data that is a list",
        "POST",
        MAPS,
        config(data=["x"]),
        message=CONFIG_HEAD
        + "json: cannot unmarshal array into Go struct field ConfigMap.data of type map[string]string",
    ),
    Case(
        "immutable that is a string",
        "POST",
        MAPS,
        config(immutable="yes"),
        message=CONFIG_HEAD + "json: cannot unmarshal string into Go struct field ConfigMap.immutable of type bool",
    ),
    Case(
        "ports that are a string",
        "POST",
        SERVICES,
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "new"}, "spec": {"ports": "80"}},
        message=SERVICE_HEAD
        + "json: cannot unmarshal string into Go struct field ServiceSpec.spec.ports of type []v1.ServicePort",
    ),
    Case(
        "a port that is a string",
        "POST",
        PODS,
        pod(containers=[{"name": "c", "image": "i", "ports": [{"containerPort": "80"}]}]),
        message=POD_HEAD
        + "json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32",
    ),
    Case(
        "a target port that is a boolean",
        "POST",
        SERVICES,
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "new"},
            "spec": {"ports": [{"port": 80, "targetPort": True}]},
        },
        message=SERVICE_HEAD + "json: cannot unmarshal bool into Go value of type int32",
    ),
    Case(
        "replicas that are a string",
        "POST",
        DEPLOYMENTS,
        deployment(replicas="3"),
        message=DEPLOYMENT_HEAD
        + "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
    ),
    Case(
        "replicas that are no integer",
        "POST",
        DEPLOYMENTS,
        deployment(replicas=1.5),
        message=DEPLOYMENT_HEAD
        + "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
    ),
    Case(
        "replicas past an int32",
        "POST",
        DEPLOYMENTS,
        deployment(replicas=2**31),
        message=DEPLOYMENT_HEAD
        + "json: cannot unmarshal number 2147483648 into Go struct field DeploymentSpec.spec.replicas of type int32",
    ),
    Case(
        "a spec that is a list",
        "POST",
        PODS,
        {**pod(), "spec": []},
        message=POD_HEAD + "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec",
    ),
    Case(
        "a container that is a string",
        "POST",
        PODS,
        pod(containers=["c"]),
        message=POD_HEAD
        + "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type v1.Container",
    ),
    Case(
        "a quantity that is none",
        "POST",
        PODS,
        pod(containers=[{"name": "c", "image": "i", "resources": {"requests": {"cpu": "much"}}}]),
        message=POD_HEAD + QUANTITY,
    ),
    Case(
        "a quantity that is an object",
        "POST",
        PODS,
        pod(containers=[{"name": "c", "image": "i", "resources": {"requests": {"cpu": {}}}}]),
        message=POD_HEAD + QUANTITY,
    ),
    Case(
        "a time that is none",
        "POST",
        MAPS,
        {**config(), "metadata": {"name": "new", "creationTimestamp": "yesterday"}},
        message=CONFIG_HEAD
        + 'parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"',
    ),
    Case(
        "bytes that are no base64",
        "POST",
        SECRETS,
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "new"}, "data": {"a": "%%"}},
        message=SECRET_HEAD + "illegal base64 data at input byte 0",
    ),
    Case(
        "bytes that are a number",
        "POST",
        SECRETS,
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "new"}, "data": {"a": 5}},
        message=SECRET_HEAD + "json: cannot unmarshal number into Go struct field Secret.data of type []uint8",
    ),
    Case(
        "a kind that is a number",
        "POST",
        MAPS,
        {**config(), "kind": 5},
        message=NO_KIND
        + 'json: cannot unmarshal number into Go struct field .kind of type string ({"apiVersion": "v1", "kind": 5 ...)',
    ),
]

TEXT = b"hello, this is a text of more than thirty bytes"

SYNTAX = [
    Case(
        "a key without quotes",
        "POST",
        MAPS,
        b"{kind: ConfigMap}",
        message=NO_KIND + "invalid character 'k' looking for beginning of object key string ({kind: ConfigMap})",
    ),
    Case(
        "cut off",
        "POST",
        MAPS,
        b'{"kind":"ConfigMap",',
        message=NO_KIND + 'unexpected end of JSON input ({"kind":"ConfigMap",)',
    ),
    Case(
        "no JSON at all",
        "POST",
        MAPS,
        TEXT,
        message=f"{NO_KIND}invalid character 'h' looking for beginning of value ({TEXT[:30].hex()} ...)",
    ),
    Case(
        "something after the end",
        "POST",
        MAPS,
        b'{"kind":"ConfigMap"}}',
        message=NO_KIND + 'invalid character \'}\' after top-level value ({"kind":"ConfigMap"}})',
    ),
    Case("nothing", "POST", MAPS, b"", message=NO_KIND + "unexpected end of JSON input (<empty>)"),
    Case(
        "a list",
        "POST",
        MAPS,
        b"[]",
        message=NO_KIND + f"json: cannot unmarshal array into Go value of type {GO_STRUCT} (5b5d)",
    ),
    Case(
        "null is an object without a name",
        "POST",
        MAPS,
        b"null",
        422,
        "Invalid",
        'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
        {
            "kind": "ConfigMap",
            "causes": [
                {
                    "reason": "FieldValueRequired",
                    "message": "Required value: name or generateName is required",
                    "field": "metadata.name",
                }
            ],
        },
    ),
    Case(
        "malformed YAML",
        "POST",
        MAPS,
        b"kind: ConfigMap\n  data: x\n",
        message=UNRECOGNIZED
        + "yaml: line 2: mapping values are not allowed in this context ("
        + b"kind: ConfigMap\n  data: x\n".hex()
        + ")",
        headers=YAML,
    ),
    Case(
        "YAML that stops",
        "POST",
        MAPS,
        b"kind: [ConfigMap\n",
        message=UNRECOGNIZED + "yaml: line 1: did not find expected ',' or ']' (" + b"kind: [ConfigMap\n".hex() + ")",
        headers=YAML,
    ),
    Case(
        "a tab in YAML",
        "POST",
        MAPS,
        b"kind: ConfigMap\n\tdata: x\n",
        message=UNRECOGNIZED
        + "yaml: line 2: found a tab character that violates indentation ("
        + b"kind: ConfigMap\n\tdata: x\n".hex()
        + ")",
        headers=YAML,
    ),
    Case("malformed JSON in a PUT", "PUT", f"{MAPS}/there", b"{", message=NO_KIND + "unexpected end of JSON input ({)"),
]

KINDS = [
    Case(
        "another kind",
        "POST",
        MAPS,
        pod(),
        message='Pod in version "v1" cannot be handled as a ConfigMap: converting (v1.Pod) to (core.ConfigMap): unknown conversion',
    ),
    Case(
        "another kind of a group",
        "POST",
        DEPLOYMENTS,
        config(),
        message='ConfigMap in version "v1" cannot be handled as a Deployment: converting (v1.ConfigMap) to (apps.Deployment): unknown conversion',
    ),
    Case(
        "a kind nobody knows",
        "POST",
        MAPS,
        {**config(), "kind": "Widget"},
        message='Widget in version "v1" cannot be handled as a ConfigMap: no kind "Widget" is registered for version "v1" in scheme "pkg/api/legacyscheme/scheme.go:30"',
    ),
    Case(
        "a version nobody knows",
        "POST",
        MAPS,
        {**config(), "apiVersion": "v7"},
        message='ConfigMap in version "v7" cannot be handled as a ConfigMap: no kind "ConfigMap" is registered for version "v7" in scheme "pkg/api/legacyscheme/scheme.go:30"',
    ),
    Case(
        "another kind in a PUT",
        "PUT",
        f"{MAPS}/there",
        pod("there"),
        message='Pod in version "v1" cannot be handled as a ConfigMap: converting (v1.Pod) to (core.ConfigMap): unknown conversion',
    ),
]

BODY_TYPES = "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf"
TOO_LARGE = "Request entity too large: limit is 3145728"

FORMATS = [
    Case("text", "POST", MAPS, b"{}", 415, "UnsupportedMediaType", BODY_TYPES, headers={"Content-Type": "text/plain"}),
    Case(
        "text in a PUT",
        "PUT",
        f"{MAPS}/there",
        b"{}",
        415,
        "UnsupportedMediaType",
        BODY_TYPES,
        headers={"Content-Type": "text/plain"},
    ),
    Case(
        "options as text",
        "DELETE",
        f"{MAPS}/there",
        b"{}",
        415,
        "UnsupportedMediaType",
        BODY_TYPES,
        headers={"Content-Type": "text/plain"},
    ),
    Case(
        "an answer as text",
        "GET",
        f"{MAPS}/there",
        None,
        406,
        "NotAcceptable",
        "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, "
        "application/vnd.kubernetes.protobuf",
        {},
        headers={"Accept": "text/html"},
    ),
    Case(
        "a table of nothing known",
        "GET",
        f"{MAPS}/there",
        None,
        406,
        "NotAcceptable",
        "only the following media types are accepted: application/json, application/yaml, "
        "application/vnd.kubernetes.protobuf",
        headers={"Accept": "application/json;as=Chair;v=v1;g=meta.k8s.io"},
    ),
    Case(
        "a list as text",
        "GET",
        MAPS,
        None,
        406,
        "NotAcceptable",
        "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, "
        "application/vnd.kubernetes.protobuf",
        {},
        headers={"Accept": "text/html"},
    ),
    Case(
        "a patch as JSON",
        "PATCH",
        f"{MAPS}/there",
        b"{}",
        415,
        "UnsupportedMediaType",
        "415: Unsupported Media Type",
        {},
        headers={"Content-Type": "application/json"},
    ),
    Case(
        "too large", "POST", MAPS, config(data={"a": "x" * (3 * 1024 * 1024)}), 413, "RequestEntityTooLarge", TOO_LARGE
    ),
    Case(
        "too large a PUT",
        "PUT",
        f"{MAPS}/there",
        config("there", data={"a": "x" * (3 * 1024 * 1024)}),
        413,
        "RequestEntityTooLarge",
        TOO_LARGE,
    ),
]
