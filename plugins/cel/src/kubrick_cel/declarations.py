"""The functions that Kubernetes adds to CEL, and the variables there are where.

Signatures are those of k8s.io/apiserver's library package and of cel-go's extensions for strings, sets and lists.
Where Kubernetes has a type parameter or an optional there is "dyn": the engine's Python face can't name one.
"""

from collections.abc import Mapping

from kubrick_cel.shapes import (
    ANY,
    AUTHORIZER,
    BOOL,
    INT,
    QUANTITY,
    RESOURCE_CHECK,
    STRING,
    TIMESTAMP,
    ListOf,
    MapOf,
    Shape,
    Struct,
)

K8S = "kubernetes."
ABBREVIATIONS = {
    "URL": f"{K8S}URL",
    "IP": "net.IP",
    "CIDR": "net.CIDR",
    "Quantity": QUANTITY.name,
    "Semver": f"{K8S}Semver",
    "Format": f"{K8S}NamedFormat",
    "Authorizer": AUTHORIZER.name,
    "PathCheck": f"{K8S}authorization.PathCheck",
    "GroupCheck": f"{K8S}authorization.GroupCheck",
    "ResourceCheck": RESOURCE_CHECK.name,
    "Decision": f"{K8S}authorization.Decision",
}
"""What the signatures below call the types that only functions can look into."""

FUNCTIONS = """
string.charAt(int) string
string.indexOf(string) int
string.indexOf(string,int) int
string.lastIndexOf(string) int
string.lastIndexOf(string,int) int
string.lowerAscii() string
string.upperAscii() string
string.replace(string,string) string
string.replace(string,string,int) string
string.split(string) list<string>
string.split(string,int) list<string>
string.substring(int) string
string.substring(int,int) string
string.trim() string
string.format(list) string
string.reverse() string
list.join() string
list.join(string) string
strings.quote(string) string
string.find(string) string
string.findAll(string) list<string>
string.findAll(string,int) list<string>
list.isSorted() bool
list.sum() dyn
list.min() dyn
list.max() dyn
list.indexOf(dyn) int
list.lastIndexOf(dyn) int
list.distinct() list
list.flatten() list
list.flatten(int) list
list.reverse() list
list.slice(int,int) list
list.sort() list
lists.range(int) list<int>
sets.contains(list,list) bool
sets.equivalent(list,list) bool
sets.intersects(list,list) bool
base64.encode(bytes) string
base64.decode(string) bytes
url(string) URL
isURL(string) bool
URL.getScheme() string
URL.getHost() string
URL.getHostname() string
URL.getPort() string
URL.getEscapedPath() string
URL.getQuery() map<string,list<string>>
ip(string) IP
isIP(string) bool
ip.isCanonical(string) bool
IP.family() int
IP.isUnspecified() bool
IP.isLoopback() bool
IP.isLinkLocalMulticast() bool
IP.isLinkLocalUnicast() bool
IP.isGlobalUnicast() bool
cidr(string) CIDR
isCIDR(string) bool
CIDR.containsIP(string) bool
CIDR.containsIP(IP) bool
CIDR.containsCIDR(string) bool
CIDR.containsCIDR(CIDR) bool
CIDR.ip() IP
CIDR.masked() CIDR
CIDR.prefixLength() int
quantity(string) Quantity
isQuantity(string) bool
Quantity.sign() int
Quantity.isGreaterThan(Quantity) bool
Quantity.isLessThan(Quantity) bool
Quantity.compareTo(Quantity) int
Quantity.asApproximateFloat() double
Quantity.asInteger() int
Quantity.isInteger() bool
Quantity.add(Quantity) Quantity
Quantity.add(int) Quantity
Quantity.sub(Quantity) Quantity
Quantity.sub(int) Quantity
semver(string) Semver
semver(string,bool) Semver
isSemver(string) bool
isSemver(string,bool) bool
Semver.major() int
Semver.minor() int
Semver.patch() int
Semver.compareTo(Semver) int
Semver.isGreaterThan(Semver) bool
Semver.isLessThan(Semver) bool
format.named(string) dyn
format.dns1123Label() Format
format.dns1123Subdomain() Format
format.dns1035Label() Format
format.qualifiedName() Format
format.dns1123LabelPrefix() Format
format.dns1123SubdomainPrefix() Format
format.dns1035LabelPrefix() Format
format.labelValue() Format
format.uri() Format
format.uuid() Format
format.byte() Format
format.date() Format
format.datetime() Format
Format.validate(string) dyn
Authorizer.path(string) PathCheck
Authorizer.group(string) GroupCheck
Authorizer.serviceAccount(string,string) Authorizer
PathCheck.check(string) Decision
GroupCheck.resource(string) ResourceCheck
ResourceCheck.subresource(string) ResourceCheck
ResourceCheck.namespace(string) ResourceCheck
ResourceCheck.name(string) ResourceCheck
ResourceCheck.fieldSelector(string) ResourceCheck
ResourceCheck.labelSelector(string) ResourceCheck
ResourceCheck.check(string) Decision
Decision.allowed() bool
Decision.reason() string
Decision.errored() bool
Decision.error() string
jsonpatch.escapeKey(string) string
k8sstr(IP) string
k8sstr(CIDR) string
"""
"""One overload a line: how it is called, and what comes out. (`k8sstr` is what `environment` makes of "string" where
it is given a type of Kubernetes': the engine does not let anybody add to its own functions.)"""

_KIND = Struct(f"{K8S}GroupVersionKind", {"group": STRING, "version": STRING, "kind": STRING})
_RESOURCE = Struct(f"{K8S}GroupVersionResource", {"group": STRING, "version": STRING, "resource": STRING})
_USER = Struct(
    f"{K8S}UserInfo", {"username": STRING, "uid": STRING, "groups": ListOf(STRING), "extra": MapOf(ListOf(STRING))}
)
REQUEST = Struct(
    f"{K8S}AdmissionRequest",
    {
        "kind": _KIND,
        "resource": _RESOURCE,
        "subResource": STRING,
        "requestKind": _KIND,
        "requestResource": _RESOURCE,
        "requestSubResource": STRING,
        "name": STRING,
        "namespace": STRING,
        "operation": STRING,
        "userInfo": _USER,
        "dryRun": BOOL,
        "options": ANY,
    },
)
"""What an admission plugin is told of a request. It has no uid: that would differ with every try."""
NAMESPACE = Struct(
    f"{K8S}Namespace",
    {
        "metadata": Struct(
            f"{K8S}NamespaceMetadata",
            {
                "name": STRING,
                "generateName": STRING,
                "namespace": STRING,
                "labels": MapOf(STRING),
                "annotations": MapOf(STRING),
                "UID": STRING,
                "creationTimestamp": TIMESTAMP,
                "deletionGracePeriodSeconds": INT,
                "deletionTimestamp": TIMESTAMP,
                "generation": INT,
                "resourceVersion": STRING,
                "finalizers": ListOf(STRING),
            },
        ),
        "spec": Struct(f"{K8S}NamespaceSpec", {"finalizers": ListOf(STRING)}),
        "status": Struct(
            f"{K8S}NamespaceStatus",
            {
                "conditions": ListOf(
                    Struct(
                        f"{K8S}NamespaceCondition",
                        {
                            "status": STRING,
                            "type": STRING,
                            "lastTransitionTime": TIMESTAMP,
                            "message": STRING,
                            "reason": STRING,
                        },
                    )
                ),
                "phase": STRING,
            },
        ),
    },
)
DEVICE = Struct(
    f"{K8S}DRADevice",
    {
        "driver": STRING,
        "attributes": MapOf(MapOf(ANY)),
        "capacity": MapOf(MapOf(QUANTITY)),
        "allowMultipleAllocations": BOOL,
    },
)
PATCH = Struct("JSONPatch", {"op": STRING, "path": STRING, "from": STRING, "value": ANY})
"""One operation of a JSON patch, as a mutation's expression makes it."""


def admission(
    *, params: bool = False, authorizer: bool = False, variables: Mapping[str, Shape] | None = None
) -> dict[str, Shape]:
    """The variables of webhooks' conditions and of policies; `variables` are a policy's own, by name."""
    names: dict[str, Shape] = {"object": ANY, "oldObject": ANY, "request": REQUEST, "namespaceObject": NAMESPACE}
    if params:
        names["params"] = ANY
    if authorizer:
        names |= {"authorizer": AUTHORIZER, "authorizer.requestResource": RESOURCE_CHECK}
    if variables is not None:
        names["variables"] = Struct(f"{K8S}variables", dict(variables))
    return names
