"""Environments, expansion and the downward API, worked out without a node."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubrick_node.environment import BadEnvironment, World, environment, service_variables
from kubrick_node.expansion import expand, unknown_names
from kubrick_node.fields import FieldError, field_value, go_quote, resource_value

POD = {
    "metadata": {
        "name": "web",
        "namespace": "team",
        "uid": "u1",
        "labels": {"app": "web", "tier": 'a"b'},
        "annotations": {"note": "two\nlines"},
    },
    "spec": {
        "nodeName": "node-1",
        "serviceAccountName": "robot",
        "containers": [
            {"name": "web", "resources": {"limits": {"cpu": "1500m"}, "requests": {"memory": "100Mi"}}},
            {"name": "side"},
        ],
    },
}
MAPS = {"settings": {"colour": "blue", "bad=key": "x"}}
SECRETS = {"keys": {"token": "s3cret"}}


def world(**services):
    return World(MAPS.get, SECRETS.get, services, {"cpu": "4", "memory": "8Gi"}, "172.16.0.2", ("10.0.0.2", "fd00::2"))


def variables(*env, env_from=(), services=None):
    container = {"name": "web", "env": list(env), "envFrom": list(env_from), **POD["spec"]["containers"][0]}
    return environment(POD, container, world(**(services or {}))).variables


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("$(A)-$(B)", "1-2"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$$$(A)", "$$(A)"),
        ("$(C)", "$(C)"),
        ("$(A", "$(A"),
        ("$(A$(B)", "$(A$(B)"),
        ("$A $ $x", "$A $ $x"),
        ("$()", "$()"),
        ("ends with $", "ends with $"),
        ("$(D)", "$(A)"),
        ("$(a$$", "$(a$"),
    ],
)
def test_expansion_follows_kubernetes_syntax(text, expanded):
    assert expand(text, {"A": "1", "B": "2", "D": "$(A)"}) == expanded


def reference(text, variables):
    """Kubernetes' algorithm as its specification tells it, character by character."""
    out, at = [], 0
    while at < len(text):
        if text[at] != "$" or at + 1 == len(text):
            out.append(text[at])
            at += 1
        elif text[at + 1] == "$":
            out.append("$")
            at += 2
        elif text[at + 1] == "(" and ")" in text[at + 2 :]:
            end = text.index(")", at + 2)
            name = text[at + 2 : end]
            out.append(variables.get(name, f"$({name})"))
            at = end + 1
        else:
            out.append(text[at : at + 2])
            at += 2
    return "".join(out)


@given(st.text(alphabet="$()AB c", max_size=20))
def test_expansion_equals_the_specification_for_any_text(text):
    known = {"A": "one", "B": "$(A)", "": "nothing", "A B": "space"}
    assert expand(text, known) == reference(text, known)


@given(st.text(max_size=20))
def test_doubling_every_dollar_protects_any_text(text):
    assert expand(text.replace("$", "$$"), {"A": "1"}) == text


def test_names_nobody_knows_are_named():
    assert unknown_names("$(A)/$(B)/$$(C)", {"A": "1"}) == ["B"]


def test_later_variables_see_earlier_ones_and_services():
    made = variables(
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)$(DB_SERVICE_HOST)$(C)"},
        {"name": "C", "value": "3"},
        services={"DB_SERVICE_HOST": "10.0.0.9", "A": "shadowed"},
    )
    assert made["B"] == "110.0.0.9$(C)"
    assert made["A"] == "1"
    assert made["DB_SERVICE_HOST"] == "10.0.0.9"


def test_env_beats_env_from_and_keys_that_are_no_names_are_skipped():
    container = {
        "name": "web",
        "envFrom": [{"prefix": "X_", "configMapRef": {"name": "settings"}}, {"secretRef": {"name": "keys"}}],
        "env": [{"name": "token", "value": "mine"}],
    }
    made = environment(POD, container, world())
    assert made.variables == {"X_colour": "blue", "token": "mine"}
    assert made.skipped == [("configMap", "team/settings", ["X_bad=key"])]


def test_what_is_missing_is_said_as_the_kubelet_says_it():
    def key_of(kind, **reference):
        return {"name": "V", "valueFrom": {kind: {"key": "k", **reference}}}

    with pytest.raises(BadEnvironment, match=r'^configmap "nope" not found$'):
        variables(key_of("configMapKeyRef", name="nope"))
    with pytest.raises(BadEnvironment, match=r'^secret "nope" not found$'):
        variables(env_from=[{"secretRef": {"name": "nope"}}])
    with pytest.raises(BadEnvironment, match=r"^couldn't find key k in Secret team/keys$"):
        variables(key_of("secretKeyRef", name="keys"))
    assert variables(key_of("configMapKeyRef", name="nope", optional=True)) == {}
    assert variables(key_of("secretKeyRef", name="keys", optional=True)) == {}
    assert variables(env_from=[{"configMapRef": {"name": "nope", "optional": True}}]) == {}


def test_the_pod_tells_of_itself():
    ips = ("10.0.0.2", "fd00::2")
    assert field_value(POD, "metadata.labels['app']") == "web"
    assert field_value(POD, "metadata.labels") == 'app="web"\ntier="a\\"b"'
    assert field_value(POD, "metadata.annotations") == 'note="two\\nlines"'
    assert field_value(POD, "spec.serviceAccountName") == "robot"
    assert field_value(POD, "status.podIPs", ips=ips) == "10.0.0.2,fd00::2"
    assert field_value(POD, "status.hostIP", "172.16.0.2") == "172.16.0.2"
    with pytest.raises(FieldError, match="unsupported fieldPath"):
        field_value(POD, "spec.other")


def test_text_is_quoted_as_go_does():
    assert go_quote('a"\\\n\x01é\u200b') == '"a\\"\\\\\\n\\x01é\\u200b"'


@pytest.mark.parametrize(
    ("resource", "divisor", "value"),
    [
        ("limits.cpu", None, "2"),
        ("limits.cpu", "1m", "1500"),
        ("requests.memory", "1Mi", "100"),
        ("requests.memory", None, "104857600"),
        ("limits.memory", "1Gi", "8"),
        ("requests.cpu", None, "0"),
    ],
)
def test_resources_are_counted_in_divisors_rounded_up(resource, divisor, value):
    asked = {"resource": resource, **({"divisor": divisor} if divisor else {})}
    assert resource_value(POD["spec"]["containers"][0], asked, {"cpu": "4", "memory": "8Gi"}) == value


def make_service(name, namespace="team", address="10.96.0.7", **ports):
    listed = [{"name": key, "port": port, "protocol": "TCP"} for key, port in ports.items()]
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": address, "ports": listed}}


def test_services_become_variables_as_docker_links_did():
    made = service_variables([make_service("my-db", http=80, admin=81)], "team", links=True)
    assert made == {
        "MY_DB_SERVICE_HOST": "10.96.0.7",
        "MY_DB_SERVICE_PORT": "80",
        "MY_DB_SERVICE_PORT_HTTP": "80",
        "MY_DB_SERVICE_PORT_ADMIN": "81",
        "MY_DB_PORT": "tcp://10.96.0.7:80",
        "MY_DB_PORT_80_TCP": "tcp://10.96.0.7:80",
        "MY_DB_PORT_80_TCP_PROTO": "tcp",
        "MY_DB_PORT_80_TCP_PORT": "80",
        "MY_DB_PORT_80_TCP_ADDR": "10.96.0.7",
        "MY_DB_PORT_81_TCP": "tcp://10.96.0.7:81",
        "MY_DB_PORT_81_TCP_PROTO": "tcp",
        "MY_DB_PORT_81_TCP_PORT": "81",
        "MY_DB_PORT_81_TCP_ADDR": "10.96.0.7",
    }


def test_the_api_servers_service_is_seen_from_everywhere_and_others_only_with_links():
    services = [
        make_service("kubernetes", "default", "10.96.0.1", https=443),
        make_service("db", http=80),
        make_service("headless", address="None", http=80),
        make_service("far", "elsewhere", http=80),
    ]
    assert set(service_variables(services, "team", links=False)) >= {"KUBERNETES_SERVICE_HOST"}
    assert "DB_SERVICE_HOST" not in service_variables(services, "team", links=False)
    linked = service_variables(services, "team", links=True)
    assert "DB_SERVICE_HOST" in linked
    assert not [name for name in linked if name.startswith(("HEADLESS", "FAR"))]
