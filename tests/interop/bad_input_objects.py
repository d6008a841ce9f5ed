"""Objects that are well-formed and wrong: metadata, required fields, conflicts, what may not change."""

# ruff: noqa: E501 -- messages stand whole, to be searched for

from bad_input_client import Case, Json, causes
from bad_input_decoding import DEPLOYMENTS, MAPS, PODS, SECRETS, SERVICES, config, deployment, pod

BINDINGS = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings"
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
NAME_PART = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
INVALID, REQUIRED, FORBIDDEN = "FieldValueInvalid", "FieldValueRequired", "FieldValueForbidden"
NOT_SUPPORTED = "FieldValueNotSupported"
Wrong = tuple[str, str, str]


def invalid(
    what: str, method: str, path: str, body: Json, kind: str, name: str, *wrong: Wrong, group: str = "", **more: object
) -> Case:
    """A 422 whose message says what its causes say."""
    texts = [f"{where}: {text}" for _, text, where in wrong]
    joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    qualified = f"{kind}.{group}" if group else kind
    details = causes(*wrong, kind=kind)
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    message = f'{qualified} "{name}" is invalid: {joined}'
    return Case(what, method, path, body, 422, "Invalid", message, details, **more)  # type: ignore[arg-type]


def named(name: str, **metadata: object) -> Json:
    return {**config(), "metadata": {"name": name, **metadata}}


METADATA = [
    invalid(
        "an invalid name",
        "POST",
        MAPS,
        named("Bad_Name"),
        "ConfigMap",
        "Bad_Name",
        (INVALID, f'Invalid value: "Bad_Name": {SUBDOMAIN}', "metadata.name"),
    ),
    invalid(
        "a name that is too long",
        "POST",
        MAPS,
        named("a" * 254),
        "ConfigMap",
        "a" * 254,
        (INVALID, f'Invalid value: "{"a" * 254}": must be no more than 253 bytes', "metadata.name"),
    ),
    invalid(
        "no name",
        "POST",
        MAPS,
        {**config(), "metadata": {}},
        "ConfigMap",
        "",
        (REQUIRED, "Required value: name or generateName is required", "metadata.name"),
    ),
    invalid(
        "an invalid label key",
        "POST",
        MAPS,
        named("new", labels={"-app": "x"}),
        "ConfigMap",
        "new",
        (INVALID, f'Invalid value: "-app": {NAME_PART}', "metadata.labels"),
    ),
    invalid(
        "an invalid label value",
        "POST",
        MAPS,
        named("new", labels={"app": "not valid"}),
        "ConfigMap",
        "new",
        (INVALID, f'Invalid value: "not valid": {VALUE}', "metadata.labels"),
    ),
    invalid(
        "a label value that is too long",
        "POST",
        MAPS,
        named("new", labels={"app": "a" * 64}),
        "ConfigMap",
        "new",
        (INVALID, f'Invalid value: "{"a" * 64}": must be no more than 63 bytes', "metadata.labels"),
    ),
    invalid(
        "an invalid annotation key",
        "POST",
        MAPS,
        named("new", annotations={"a/b/c": "x"}),
        "ConfigMap",
        "new",
        (
            INVALID,
            f"Invalid value: \"a/b/c\": a qualified name {NAME_PART.removeprefix('name part ')} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
            "metadata.annotations",
        ),
    ),
    invalid(
        "annotations that are too large",
        "POST",
        MAPS,
        named("new", annotations={"a": "x" * 262144}),
        "ConfigMap",
        "new",
        ("FieldValueTooLong", "Too long: may not be more than 262144 bytes", "metadata.annotations"),
    ),
    invalid(
        "an invalid finalizer",
        "POST",
        MAPS,
        named("new", finalizers=["stop"]),
        "ConfigMap",
        "new",
        (
            INVALID,
            'Invalid value: "stop": name is neither a standard finalizer name nor is it fully qualified',
            "metadata.finalizers",
        ),
    ),
    invalid(
        "an owner without a kind and a UID",
        "POST",
        MAPS,
        named("new", ownerReferences=[{"apiVersion": "v1", "kind": "", "name": "x", "uid": ""}]),
        "ConfigMap",
        "new",
        (INVALID, 'Invalid value: "": kind must not be empty', "metadata.ownerReferences[0].kind"),
        (INVALID, 'Invalid value: "": uid must not be empty', "metadata.ownerReferences[0].uid"),
    ),
    invalid(
        "a name and a label at once",
        "POST",
        MAPS,
        named("Bad", labels={"a b": "c d"}),
        "ConfigMap",
        "Bad",
        (INVALID, f'Invalid value: "Bad": {SUBDOMAIN}', "metadata.name"),
        (INVALID, f'Invalid value: "a b": {NAME_PART}', "metadata.labels"),
        (INVALID, f'Invalid value: "c d": {VALUE}', "metadata.labels"),
    ),
    invalid(
        "a namespace's name",
        "POST",
        "/api/v1/namespaces",
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a.b"}},
        "Namespace",
        "a.b",
        (INVALID, 'Invalid value: "a.b": must not contain dots', "metadata.name"),
    ),
    invalid(
        "a service's name",
        "POST",
        SERVICES,
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a.b"}, "spec": {"ports": [{"port": 80}]}},
        "Service",
        "a.b",
        (INVALID, 'Invalid value: "a.b": must not contain dots', "metadata.name"),
    ),
    Case(
        "another namespace",
        "POST",
        MAPS,
        named("new", namespace="kube-system"),
        message="the namespace of the provided object does not match the namespace sent on the request",
    ),
    Case(
        "another namespace in a PUT",
        "PUT",
        f"{MAPS}/there",
        named("there", namespace="kube-system"),
        message="the namespace of the provided object does not match the namespace sent on the request",
    ),
    Case(
        "another name in a PUT",
        "PUT",
        f"{MAPS}/there",
        named("new"),
        message="the name of the object (new) does not match the name on the URL (there)",
    ),
    Case(
        "no name in a PUT",
        "PUT",
        f"{MAPS}/there",
        {**config(), "metadata": {}},
        message="the name of the object (there based on URL) was undeterminable: name must be provided",
    ),
    Case(
        "a namespace that isn't there",
        "POST",
        "/api/v1/namespaces/nowhere/configmaps",
        config(),
        404,
        "NotFound",
        'namespaces "nowhere" not found',
        {"name": "nowhere", "kind": "namespaces"},
    ),
    Case(
        "a namespace that is going away",
        "POST",
        "/api/v1/namespaces/ending/configmaps",
        config(),
        403,
        "Forbidden",
        'configmaps "new" is forbidden: unable to create new content in namespace ending because it is being terminated',
        causes(
            ("NamespaceTerminating", "namespace ending is being terminated", "metadata.namespace"),
            name="new",
            kind="configmaps",
        ),
    ),
]

SPECS = [
    invalid(
        "a pod without containers",
        "POST",
        PODS,
        {**pod(), "spec": {}},
        "Pod",
        "new",
        (REQUIRED, "Required value", "spec.containers"),
    ),
    invalid(
        "a container without anything",
        "POST",
        PODS,
        pod(containers=[{}]),
        "Pod",
        "new",
        (REQUIRED, "Required value", "spec.containers[0].name"),
        (REQUIRED, "Required value", "spec.containers[0].image"),
    ),
    invalid(
        "several things of a pod",
        "POST",
        PODS,
        pod(
            containers=[
                {"name": "c", "image": "i", "ports": [{"containerPort": 0}], "imagePullPolicy": "Often"},
                {"name": "c", "image": "i"},
            ],
            restartPolicy="Maybe",
        ),
        "Pod",
        "new",
        (REQUIRED, "Required value", "spec.containers[0].ports[0].containerPort"),
        (
            NOT_SUPPORTED,
            'Unsupported value: "Often": supported values: "Always", "IfNotPresent", "Never"',
            "spec.containers[0].imagePullPolicy",
        ),
        ("FieldValueDuplicate", 'Duplicate value: "c"', "spec.containers[1].name"),
        (
            NOT_SUPPORTED,
            'Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never"',
            "spec.restartPolicy",
        ),
    ),
    invalid(
        "a request above its limit",
        "POST",
        PODS,
        pod(containers=[{"name": "c", "image": "i", "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}]),
        "Pod",
        "new",
        (
            INVALID,
            'Invalid value: "2": must be less than or equal to cpu limit of 1',
            "spec.containers[0].resources.requests",
        ),
    ),
    invalid(
        "a service without a port number",
        "POST",
        SERVICES,
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "new"}, "spec": {"ports": [{}]}},
        "Service",
        "new",
        (INVALID, "Invalid value: 0: must be between 1 and 65535, inclusive", "spec.ports[0].port"),
        (INVALID, "Invalid value: 0: must be between 1 and 65535, inclusive", "spec.ports[0].targetPort"),
    ),
    invalid(
        "a service without ports",
        "POST",
        SERVICES,
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "new"}, "spec": {}},
        "Service",
        "new",
        (REQUIRED, "Required value", "spec.ports"),
    ),
    invalid(
        "an empty deployment",
        "POST",
        DEPLOYMENTS,
        {**deployment(), "spec": {}},
        "Deployment",
        "new",
        (REQUIRED, "Required value", "spec.selector"),
        (INVALID, "Invalid value: null: `selector` does not match template `labels`", "spec.template.metadata.labels"),
        (REQUIRED, "Required value", "spec.template.spec.containers"),
        group="apps",
    ),
    invalid(
        "a selector that selects others",
        "POST",
        DEPLOYMENTS,
        deployment(selector={"matchLabels": {"app": "other"}}),
        "Deployment",
        "new",
        (
            INVALID,
            'Invalid value: {"app":"new"}: `selector` does not match template `labels`',
            "spec.template.metadata.labels",
        ),
        group="apps",
    ),
    invalid(
        "an invalid key",
        "POST",
        MAPS,
        config(data={"a b": "x"}),
        "ConfigMap",
        "new",
        (
            INVALID,
            "Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
            "data[a b]",
        ),
    ),
    invalid(
        "a role binding of nothing",
        "POST",
        BINDINGS,
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "new"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Thing", "name": ""},
        },
        "RoleBinding",
        "new",
        (NOT_SUPPORTED, 'Unsupported value: "Thing": supported values: "Role", "ClusterRole"', "roleRef.kind"),
        (REQUIRED, "Required value", "roleRef.name"),
        group="rbac.authorization.k8s.io",
    ),
]

STALE = "the object has been modified; please apply your changes to the latest version and try again"

CONFLICTS = [
    Case(
        "there already",
        "POST",
        MAPS,
        config("there"),
        409,
        "AlreadyExists",
        'configmaps "there" already exists',
        {"name": "there", "kind": "configmaps"},
    ),
    Case(
        "there already, tried dry",
        "POST",
        f"{MAPS}?dryRun=All",
        config("there"),
        409,
        "AlreadyExists",
        'configmaps "there" already exists',
        {"name": "there", "kind": "configmaps"},
    ),
    Case(
        "there already, in a group",
        "POST",
        DEPLOYMENTS,
        {**deployment(), "metadata": {"name": "there"}},
        409,
        "AlreadyExists",
        'deployments.apps "there" already exists',
        {"name": "there", "group": "apps", "kind": "deployments"},
    ),
    Case(
        "stale",
        "PUT",
        f"{MAPS}/there",
        named("there", resourceVersion="1"),
        409,
        "Conflict",
        f'Operation cannot be fulfilled on configmaps "there": {STALE}',
        {"name": "there", "kind": "configmaps"},
    ),
    Case(
        "stale, in a group",
        "PUT",
        f"{DEPLOYMENTS}/there",
        {**deployment(), "metadata": {"name": "there", "resourceVersion": "1"}},
        409,
        "Conflict",
        f'Operation cannot be fulfilled on deployments.apps "there": {STALE}',
        {"name": "there", "group": "apps", "kind": "deployments"},
    ),
    Case(
        "stale, of the status",
        "PUT",
        f"{PODS}/there/status",
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "there", "resourceVersion": "1"}},
        409,
        "Conflict",
        f'Operation cannot be fulfilled on pods "there": {STALE}',
        {"name": "there", "kind": "pods"},
    ),
    Case(
        "a version on create",
        "POST",
        MAPS,
        named("new", resourceVersion="5"),
        500,
        "",
        "resourceVersion should not be set on objects to be created",
    ),
    Case(
        "another UID",
        "PUT",
        f"{MAPS}/there",
        named("there", uid="other"),
        409,
        "Conflict",
        'Operation cannot be fulfilled on configmaps "there": StorageError: invalid object, Code: 4, Key: /registry/configmaps/default/there, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: other, UID in object meta: {there_uid}',
        {"name": "there", "kind": "configmaps"},
    ),
    Case(
        "not there",
        "PUT",
        f"{MAPS}/gone",
        config("gone"),
        404,
        "NotFound",
        'configmaps "gone" not found',
        {"name": "gone", "kind": "configmaps"},
    ),
    Case(
        "nothing to get",
        "GET",
        f"{DEPLOYMENTS}/gone",
        None,
        404,
        "NotFound",
        'deployments.apps "gone" not found',
        {"name": "gone", "group": "apps", "kind": "deployments"},
    ),
    Case(
        "nothing to delete",
        "DELETE",
        f"{MAPS}/gone",
        None,
        404,
        "NotFound",
        'configmaps "gone" not found',
        {"name": "gone", "kind": "configmaps"},
    ),
    Case(
        "a deletion of another",
        "DELETE",
        f"{MAPS}/there",
        {"preconditions": {"uid": "other"}},
        409,
        "Conflict",
        'Operation cannot be fulfilled on ConfigMap "there": the UID in the precondition (other) does not match the UID in record ({there_uid}). The object might have been deleted and then recreated',
        {"name": "there", "kind": "ConfigMap"},
    ),
    Case(
        "a deletion of what was",
        "DELETE",
        f"{MAPS}/there",
        {"preconditions": {"resourceVersion": "1"}},
        409,
        "Conflict",
        'Operation cannot be fulfilled on ConfigMap "there": the ResourceVersion in the precondition (1) does not match the ResourceVersion in record ({there_rv}). The object might have been modified',
        {"name": "there", "kind": "ConfigMap"},
    ),
    Case(
        "the default namespace",
        "DELETE",
        "/api/v1/namespaces/default",
        None,
        403,
        "Forbidden",
        'namespaces "default" is forbidden: this namespace may not be deleted',
        {"name": "default", "kind": "namespaces"},
    ),
    Case(
        "the system's namespace",
        "DELETE",
        "/api/v1/namespaces/kube-system",
        None,
        403,
        "Forbidden",
        'namespaces "kube-system" is forbidden: this namespace may not be deleted',
        {"name": "kube-system", "kind": "namespaces"},
    ),
    Case(
        "the public namespace",
        "DELETE",
        "/api/v1/namespaces/kube-public",
        None,
        403,
        "Forbidden",
        'namespaces "kube-public" is forbidden: this namespace may not be deleted',
        {"name": "kube-public", "kind": "namespaces"},
    ),
]

FROZEN = "Forbidden: field is immutable when `immutable` is set"
RBAC = "rbac.authorization.k8s.io"

IMMUTABLE = [
    Case(
        "a pod's spec",
        "PUT",
        f"{PODS}/there",
        {**pod("there", nodeSelector={"disk": "ssd"})},
        422,
        "Invalid",
        'Pod "there" is invalid: spec: Forbidden: pod updates may not change fields other than '
        "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
        "`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` "
        "(allow it to be set to 1 if it was previously negative)\n...",
        {"name": "there", "kind": "Pod"},
    ),
    invalid(
        "a pod's containers",
        "PUT",
        f"{PODS}/there",
        pod("there", containers=[{"name": "c", "image": "i"}, {"name": "d", "image": "i"}]),
        "Pod",
        "there",
        (FORBIDDEN, "Forbidden: pod updates may not add or remove containers", "spec.containers"),
    ),
    invalid(
        "a deployment's selector",
        "PUT",
        f"{DEPLOYMENTS}/there",
        {
            **deployment(
                selector={"matchLabels": {"app": "b"}},
                template={"metadata": {"labels": {"app": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
            ),
            "metadata": {"name": "there"},
        },
        "Deployment",
        "there",
        (INVALID, 'Invalid value: {"matchLabels":{"app":"b"}}: field is immutable', "spec.selector"),
        group="apps",
    ),
    invalid(
        "a service's address",
        "PATCH",
        f"{SERVICES}/there",
        {"spec": {"clusterIP": "10.96.200.200", "clusterIPs": ["10.96.200.200"]}},
        "Service",
        "there",
        (INVALID, 'Invalid value: ["10.96.200.200"]: may not change once set', "spec.clusterIPs[0]"),
        headers={"Content-Type": "application/merge-patch+json"},
    ),
    invalid(
        "a frozen config map's data",
        "PUT",
        f"{MAPS}/frozen",
        config("frozen", immutable=True, data={"a": "2"}),
        "ConfigMap",
        "frozen",
        (FORBIDDEN, FROZEN, "data"),
    ),
    invalid(
        "a frozen config map thawed",
        "PUT",
        f"{MAPS}/frozen",
        config("frozen", data={"a": "1"}),
        "ConfigMap",
        "frozen",
        (FORBIDDEN, FROZEN, "immutable"),
    ),
    invalid(
        "a frozen secret's data",
        "PUT",
        f"{SECRETS}/frozen",
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "frozen"},
            "immutable": True,
            "type": "Opaque",
            "data": {"a": "Mg=="},
        },
        "Secret",
        "frozen",
        (FORBIDDEN, FROZEN, "data"),
    ),
    invalid(
        "a secret's type",
        "PUT",
        f"{SECRETS}/there",
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "there"}, "type": "other"},
        "Secret",
        "there",
        (INVALID, 'Invalid value: "other": field is immutable', "type"),
    ),
    invalid(
        "a binding's role",
        "PUT",
        f"{BINDINGS}/there",
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "there"},
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "b"},
        },
        "RoleBinding",
        "there",
        (INVALID, f'Invalid value: {{"APIGroup":"{RBAC}","Kind":"Role","Name":"b"}}: field is immutable', "roleRef"),
        group=RBAC,
    ),
]
