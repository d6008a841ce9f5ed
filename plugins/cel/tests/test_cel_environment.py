"""Expressions that clusters have, those that don't compile, and what is said of these."""

import pytest

from kubrick_cel import ANY, INT, STRING, ListOf, MapOf, Struct
from kubrick_cel.declarations import DEVICE, FUNCTIONS, PATCH, admission
from kubrick_cel.environment import TOO_DEEP, Checked, Environment

POLICY = Environment(admission(params=True, authorizer=True, variables={"count": INT}))


@pytest.mark.parametrize(
    "expression",
    [
        "object.spec.replicas <= params.maxReplicas",
        "!has(object.metadata.labels) || object.metadata.labels.all(k, k.startsWith('a'))",
        "authorizer.group('apps').resource('deployments').namespace('x').check('create').allowed()",
        "authorizer.serviceAccount('a', 'b').path('/healthz').check('get').errored()",
        "authorizer.requestResource.check('custom').allowed()",
        "string(ip('10.0.0.1')) == '10.0.0.1' && string(cidr('10.0.0.0/8')) != ''",
        "cidr('10.0.0.0/8').containsIP(ip('10.0.0.1')) && cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')",
        "url('https://a:80/b').getQuery()['q'][0] == 'x'",
        "quantity('1Gi').add(5).sub(quantity('1')).isGreaterThan(quantity('10M'))",
        "semver('1.2.3').compareTo(semver('v1.0', true)) > 0",
        "format.dns1123Label().validate('x').hasValue() || format.named('uuid').hasValue()",
        "[1, 2].sum() < 3 && ['b', 'a'].isSorted() && [1, 2].max() == 2 && [1].indexOf(1) == 0",
        "'a,b'.split(',').join('-').find('[a-z]') == 'a'",
        "sets.contains([1, 2], [1])",
        "'%s'.format([object.metadata.name]).upperAscii() == 'X'",
        "object.?metadata.?labels['a'].orValue('b') == 'b'",
        "object.metadata.labels.all(k, v, k != v)",
        "object.spec.containers.transformList(i, c, c.name)[0] == 'a'",
        "1 < 1.5 && variables.count >= 2u",
        "cel.bind(x, object.spec, x.a == x.b)",
        "namespaceObject.metadata.labels['a'] in request.userInfo.groups && request.dryRun",
        "oldObject == null || timestamp(object.metadata.creationTimestamp) > timestamp('2020-01-01T00:00:00Z')",
    ],
)
def test_what_clusters_write_compiles(expression: str) -> None:
    assert POLICY.check_is(expression, "bool") == ""


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("object.", "1:8: Syntax error: no viable alternative at input '.'\n | object.\n | .......^"),
        ("foo == 1", "1:1: undeclared reference to 'foo' (in container '')\n | foo == 1\n | ^"),
        ("params2.a.b", "1:1: undeclared reference to 'params2' (in container '')\n | params2.a.b\n | ^"),
        ("request.foo", "1:8: undefined field 'foo'\n | request.foo\n | .......^"),
        ("variables.other", "1:10: undefined field 'other'\n | variables.other\n | .........^"),
        ("1 + 'a'", "1:3: found no matching overload for '_+_' applied to '(int, string)'\n | 1 + 'a'\n | ..^"),
        (
            "quantity('1').isLessThan(1)",
            "1:25: found no matching overload for 'isLessThan' applied to 'kubernetes.Quantity.(int)'\n"
            " | quantity('1').isLessThan(1)\n | ........................^",
        ),
        ("has(1)", "1:5: invalid argument to has() macro\n | has(1)\n | ....^"),
        (
            "variables.count == 'a' || variables.count < 1.5",
            "1:17: found no matching overload for '_==_' applied to '(int, string)'\n"
            " | variables.count == 'a' || variables.count < 1.5\n | ................^\n"
            "ERROR: <input>:1:43: found no matching overload for '_<_' applied to '(int, double)'\n"
            " | variables.count == 'a' || variables.count < 1.5\n | ..........................................^",
        ),
    ],
)
def test_what_is_wrong_is_said_where_it_is(expression: str, said: str) -> None:
    assert POLICY.check(expression).error == f"compilation failed: ERROR: <input>:{said}"


def test_an_expression_must_evaluate_to_what_is_wanted() -> None:
    assert POLICY.check_is("object.flag", "bool") == "must evaluate to bool"
    assert POLICY.check_is("1", "string", "null_type") == "must evaluate to one of [string null_type]"
    assert POLICY.check("['a']") == Checked(type="list(string)")


def test_a_variable_is_there_only_where_it_is_declared() -> None:
    assert "undeclared reference to 'params'" in Environment(admission()).check("params.x").error
    assert "undeclared reference to 'authorizer'" in Environment(admission()).check("authorizer.path('/')").error
    assert "undeclared reference to 'variables'" in Environment(admission()).check("variables.x").error


def test_mutations_make_objects_and_patches() -> None:
    mutation = Environment(admission(), [PATCH], objects=True)
    assert mutation.check_is("Object{spec: Object.spec{replicas: 1, a: Object.spec.a{b: [1]}}}", "Object") == ""
    assert mutation.check_is("[JSONPatch{op: 'add', path: '/x', value: Object{a: 1}}]", "list(JSONPatch)") == ""
    assert (
        "expected type of field 'op' is 'string' but provided type is 'int'" in mutation.check("JSONPatch{op: 1}").error
    )
    assert "undefined field 'oops'" in mutation.check("JSONPatch{oops: 1}").error
    wrong = mutation.check("Object{spec: Object.spec{a: 1 + 'a'}}").error
    assert " | Object{spec: Object.spec{a: 1 + 'a'}}\n" in wrong


def test_devices_have_attributes_and_capacity_by_domain() -> None:
    device = Environment({"device": DEVICE})
    assert device.check_is("device.attributes['a.example'].model == 'x' && device.driver == 'b'", "bool") == ""
    assert device.check_is("device.capacity['a.example'].memory.isGreaterThan(quantity('1Gi'))", "bool") == ""
    assert "undefined field 'memory'" in device.check("device.memory").error


def test_structs_within_lists_maps_and_each_other_are_known_to_the_end() -> None:
    inner = Struct("t.inner", {"a_b": MapOf(STRING), "aB": MapOf(ListOf(INT)), "deep": ListOf(ListOf(INT))})
    outer = Struct("t.outer", {"list": ListOf(inner), "map": MapOf(inner), "any": ANY})
    environment = Environment({"self": outer, "items": ListOf(outer)})
    assert environment.check_is("self.list.all(x, x.a_b['k'] == 'v') && self.map['x'].aB['y'][0] == 1", "bool") == ""
    assert "undefined field 'other'" in environment.check("self.list[0].other").error
    assert "undefined field 'other'" in environment.check("items[0].map['x'].other").error


def test_every_function_has_another_signature() -> None:
    calls = [line.partition(") ")[0] for line in FUNCTIONS.strip().split("\n")]
    assert len(calls) == len({*calls})


@pytest.mark.parametrize(
    ("expression", "fine"),
    [
        ("(" * 60 + "true" + ")" * 60, True),
        (" + ".join(["1"] * 100), True),
        ("(" * 5000 + "true" + ")" * 5000, False),
        ("object" + ".a" * 5000, False),
        ("[" * 5000 + "]" * 5000, False),
        ("'\ud800' == object.x", True),
    ],
)
def test_depth_is_limited_and_kills_nothing(expression: str, fine: bool) -> None:
    assert POLICY.check(expression).error == ("" if fine else TOO_DEEP)
