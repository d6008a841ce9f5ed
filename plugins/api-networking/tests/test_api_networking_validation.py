"""Each rule of the networking kinds: a valid object, changed, and exactly what is said of it."""

from typing import Any

import pytest

from kubrick_api.merge import json_merge
from kubrick_api.resource import Strategy
from kubrick_api.validation import LABEL_RULE, SUBDOMAIN_RULE
from kubrick_api_networking.ingresses import IngressClassStrategy, IngressStrategy
from kubrick_api_networking.networks import IPAddressStrategy, ServiceCIDRStrategy
from kubrick_api_networking.policies import NetworkPolicyStrategy

Object = dict[str, Any]

BACKEND = {"service": {"name": "s", "port": {"number": 80}}}
INGRESS = {
    "metadata": {"name": "i"},
    "spec": {"rules": [{"host": "a.b", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND}]}}]},
}
P = "spec.rules[0].http.paths[0]"


def said(strategy: Strategy, obj: Object, old: Object | None = None) -> list[str]:
    strategy.default(obj)
    errors = strategy.validate(obj) if old is None else strategy.validate_replacement(obj, old)
    return [str(error) for error in errors]


def path(**fields: Any) -> Object:
    return {
        "spec": {"rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND, **fields}]}}]}
    }


@pytest.mark.parametrize(
    ("patch", "wrong"),
    [
        ({}, []),
        (
            {"spec": {"rules": None}},
            ["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"],
        ),
        (
            {"spec": {"defaultBackend": {}}},
            ['spec.defaultBackend: Invalid value: "": resource or service backend is required'],
        ),
        (
            {"spec": {"defaultBackend": {**BACKEND, "resource": {}}}},
            ['spec.defaultBackend: Invalid value: "": cannot set both resource and service backends'],
        ),
        (
            {"spec": {"defaultBackend": {"resource": {"apiGroup": "A", "name": "a/b"}}}},
            [
                f'spec.defaultBackend.resource.apiGroup: Invalid value: "A": {SUBDOMAIN_RULE}',
                "spec.defaultBackend.resource.kind: Required value",
                "spec.defaultBackend.resource.name: Invalid value: \"a/b\": may not contain '/'",
            ],
        ),
        (
            {"spec": {"defaultBackend": {"service": {"name": "S", "port": {"name": "a", "number": 1}}}}},
            [
                f'spec.defaultBackend.service.name: Invalid value: "S": {LABEL_RULE}',
                'spec.defaultBackend: Invalid value: "": cannot set both port name & port number',
            ],
        ),
        (
            {"spec": {"defaultBackend": {"service": {}}}},
            [
                "spec.defaultBackend.service.name: Required value",
                "spec.defaultBackend: Required value: port name or number is required",
            ],
        ),
        (
            {"spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 65536}}}}},
            ["spec.defaultBackend.service.port.number: Invalid value: 65536: must be between 1 and 65535, inclusive"],
        ),
        (
            {"spec": {"rules": [{"host": "1.2.3.4", "http": {}}]}},
            [
                'spec.rules[0].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address',
                "spec.rules[0].http.paths: Required value",
            ],
        ),
        (path(pathType=None), [f"{P}.pathType: Required value: pathType must be specified"]),
        (
            path(pathType="x"),
            [f'{P}.pathType: Unsupported value: "x": supported values: "Exact", "ImplementationSpecific", "Prefix"'],
        ),
        (
            path(path="a//b/.."),
            [
                f'{P}.path: Invalid value: "a//b/..": must be an absolute path',
                f"{P}.path: Invalid value: \"a//b/..\": must not contain '//'",
                f"{P}.path: Invalid value: \"a//b/..\": cannot end with '/..'",
            ],
        ),
        (path(path="", pathType="ImplementationSpecific"), []),
        (path(path="//", pathType="ImplementationSpecific"), []),
        (
            {"spec": {"tls": [{"hosts": ["A"], "secretName": "S"}], "ingressClassName": "C"}},
            [
                f'spec.tls[0].hosts[0]: Invalid value: "A": {SUBDOMAIN_RULE}',
                f'spec.tls[0].secretName: Invalid value: "S": {SUBDOMAIN_RULE}',
                f'spec.ingressClassName: Invalid value: "C": {SUBDOMAIN_RULE}',
            ],
        ),
        (
            {"metadata": {"annotations": {"kubernetes.io/ingress.class": "a"}}, "spec": {"ingressClassName": "b"}},
            [
                'annotations.kubernetes.io/ingress.class: Invalid value: "a": must match `ingressClassName` when both '
                "are specified"
            ],
        ),
    ],
)
def test_an_ingress(patch: Object, wrong: list[str]) -> None:
    assert said(IngressStrategy(), json_merge(INGRESS, patch)) == wrong


def test_an_ingress_may_keep_a_secret_that_cannot_be() -> None:
    old = json_merge(INGRESS, {"spec": {"tls": [{"secretName": "S"}]}})
    new = json_merge(old, {"spec": {"tls": [{"secretName": "T"}]}})
    assert said(IngressStrategy(), new, old) == []
    assert len(said(IngressStrategy(), new, INGRESS)) == 1


def test_a_balancers_points_are_addresses_or_names() -> None:
    points = [{"ip": "01.2.3.4"}, {"hostname": "1.2.3.4"}]
    new = json_merge(INGRESS, {"status": {"loadBalancer": {"ingress": points}}})
    assert [str(error) for error in IngressStrategy().validate_status_update(new, INGRESS)] == [
        'status.loadBalancer.ingress[0].ip: Invalid value: "01.2.3.4": must not have leading 0s',
        'status.loadBalancer.ingress[1].hostname: Invalid value: "1.2.3.4": must be a DNS name, not an IP address',
    ]
    kept = [str(error) for error in IngressStrategy().validate_status_update(new, new)]
    assert len(kept) == 1


CLASS = {"metadata": {"name": "c"}, "spec": {"controller": "acme.io/c", "parameters": {"kind": "K", "name": "n"}}}


@pytest.mark.parametrize(
    ("parameters", "wrong"),
    [
        ({}, []),
        ({"namespace": "n"}, ["spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"]),
        (
            {"scope": "Namespace", "kind": None},
            [
                "spec.parameters.kind: Required value",
                "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
            ],
        ),
        ({"scope": "x"}, ['spec.parameters.scope: Unsupported value: "x": supported values: "Cluster", "Namespace"']),
    ],
)
def test_an_ingress_class(parameters: Object, wrong: list[str]) -> None:
    assert said(IngressClassStrategy(), json_merge(CLASS, {"spec": {"parameters": parameters}})) == wrong


def test_an_ingress_class_keeps_its_controller() -> None:
    new = json_merge(CLASS, {"spec": {"controller": "x"}})
    assert said(IngressClassStrategy(), new, CLASS) == [
        'spec.controller: Invalid value: "x": field is immutable',
        'spec.controller: Invalid value: "x": must be a domain-prefixed path (such as "acme.io/foo")',
    ]


def ports(*ports: Object) -> Object:
    return {"ingress": [{"ports": list(ports)}]}


def block(**fields: Any) -> Object:
    return {"egress": [{"to": [{"ipBlock": fields}]}]}


B = "spec.egress[0].to[0]"


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        (ports({"port": 1, "endPort": 5}, {"port": "http"}, {"protocol": "UDP"}), []),
        (
            ports({"protocol": "x", "port": 9, "endPort": 5}, {"endPort": 1}, {"port": "-", "endPort": 1}),
            [
                'spec.ingress[0].ports[0].protocol: Unsupported value: "x": supported values: "TCP", "UDP", "SCTP"',
                "spec.ingress[0].ports[0].endPort: Invalid value: 5: must be greater than or equal to `port`",
                "spec.ingress[0].ports[1].endPort: Invalid value: 1: may not be specified when `port` is not specified",
                "spec.ingress[0].ports[2].endPort: Invalid value: 1: may not be specified when `port` is non-numeric",
                'spec.ingress[0].ports[2].port: Invalid value: "-": must contain at least one letter (a-z)',
                'spec.ingress[0].ports[2].port: Invalid value: "-": must not begin or end with a hyphen',
            ],
        ),
        (block(), [f"{B}.ipBlock.cidr: Required value"]),
        (
            block(cidr="10.0.0.0/8", **{"except": ["10.0.0.0/8", "11.0.0.0/9", "10.1.0.0/16", "x"]}),
            [
                f'{B}.ipBlock.except[0]: Invalid value: "10.0.0.0/8": must be a strict subset of `cidr`',
                f'{B}.ipBlock.except[1]: Invalid value: "11.0.0.0/9": must be a strict subset of `cidr`',
                f'{B}.ipBlock.except[3]: Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or '
                "2001:db8::/64)",
            ],
        ),
        (
            {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]}]},
            [f"{B}: Forbidden: may not specify both ipBlock and another peer"],
        ),
        (
            {"policyTypes": ["x"]},
            ['spec.policyTypes[0]: Unsupported value: "x": supported values: "Ingress", "Egress"'],
        ),
        (
            {"policyTypes": ["x", "y", "z"]},
            ['spec.policyTypes: Invalid value: ["x","y","z"]: may not specify more than two policyTypes'],
        ),
    ],
)
def test_a_network_policy(spec: Object, wrong: list[str]) -> None:
    assert said(NetworkPolicyStrategy(), {"metadata": {"name": "p"}, "spec": {"podSelector": {}, **spec}}) == wrong


def test_a_network_policy_keeps_its_odd_ranges() -> None:
    old = {"metadata": {"name": "p"}, "spec": {"podSelector": {}, **block(cidr="10.0.0.1/8")}}
    new = {
        "metadata": {"name": "p"},
        "spec": {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.1/8"}}]}]},
    }
    assert said(NetworkPolicyStrategy(), new, old) == []
    (error,) = said(NetworkPolicyStrategy(), new)
    assert error.endswith("must not have bits set beyond the prefix length")


ODD = {"matchExpressions": [{"key": "a", "operator": "In", "values": ["-"]}]}


def test_a_network_policy_keeps_values_that_no_label_has() -> None:
    old = {"metadata": {"name": "p"}, "spec": {"podSelector": ODD}}
    new: Object = {
        "metadata": {"name": "p"},
        "spec": {"podSelector": ODD, "ingress": [{"from": [{"podSelector": ODD}]}]},
    }
    fields = [error.field for error in NetworkPolicyStrategy().validate(new)]
    assert fields == [
        "spec.podSelector.matchExpressions[0].values[0]",
        "spec.ingress[0].from[0].podSelector.matchExpressions[0].values[0]",
    ]
    assert said(NetworkPolicyStrategy(), new, old) == []
    # As in Kubernetes, only the policy's own selector tells that values were always believed.
    peers = {"metadata": {"name": "p"}, "spec": {**new["spec"], "podSelector": {}}}
    assert [error.field for error in NetworkPolicyStrategy().validate_replacement(peers, peers)] == fields[1:]


def cidrs(*ranges: str) -> Object:
    return {"metadata": {"name": "c"}, "spec": {"cidrs": list(ranges)}}


def test_a_service_range_is_one_of_each_family() -> None:
    strategy = ServiceCIDRStrategy()
    assert said(strategy, cidrs("10.0.0.0/8", "fd00::/64")) == []
    assert said(strategy, cidrs()) == ["spec.cidrs: Required value: at least one CIDR required"]
    (error,) = said(strategy, cidrs("10.0.0.0/8", "11.0.0.0/8"))
    assert error.endswith("may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64")
    (error,) = said(strategy, cidrs("a", "b", "c"))
    assert error == 'spec.cidrs: Invalid value: {"CIDRs":["a","b","c"]}: may only hold up to 2 values'


def test_a_service_range_may_only_get_a_second_one() -> None:
    strategy, old = ServiceCIDRStrategy(), cidrs("10.0.0.0/8")
    assert said(strategy, cidrs("10.0.0.0/8", "fd00::/64"), old) == []
    assert said(strategy, cidrs("11.0.0.0/8"), old) == [
        'spec.cidrs[0]: Invalid value: "11.0.0.0/8": field is immutable'
    ]
    assert said(strategy, cidrs(), old) == ["spec.cidrs: Invalid value: []: field is immutable"]


def test_an_address_belongs_to_somebody_for_ever() -> None:
    strategy, parent = IPAddressStrategy(), {"resource": "services", "name": "s", "namespace": "n"}
    obj = {"metadata": {"name": "10.0.0.1"}, "spec": {"parentRef": parent}}
    assert said(strategy, obj) == []
    assert said(
        strategy, json_merge(obj, {"spec": {"parentRef": {"group": "A", "name": None, "namespace": "a/b"}}})
    ) == [
        f'spec.parentRef.group: Invalid value: "A": {SUBDOMAIN_RULE}',
        "spec.parentRef.name: Required value",
        "spec.parentRef.namespace: Invalid value: \"a/b\": may not contain '/'",
    ]
    (error,) = said(strategy, json_merge(obj, {"spec": {"parentRef": {"name": "t"}}}), obj)
    shown = '{"Group":"","Resource":"services","Namespace":"n","Name":"t"}'
    assert error == f"spec.parentRef: Invalid value: {shown}: field is immutable"
