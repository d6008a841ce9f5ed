"""Random clusters for Hypothesis: nodes and pods that differ in everything plugins look at."""

from typing import Any

from hypothesis import strategies as st

from kubrick_scheduler.pod import ANY_ADDRESS
from kubrick_scheduler.testing import node, pod

Object = dict[str, Any]

NODE_NAMES = [f"node-{i}" for i in range(6)]
KEYS = ["zone", "disk", "size"]
VALUES = ["a", "b", "1", "7", "12"]
EFFECTS = ["NoSchedule", "NoExecute", "PreferNoSchedule"]
CPUS = ["0", "100m", "250m", "1", "1500m", "3"]
MEMORIES = ["0", "64Mi", "200Mi", "1Gi", "5Gi"]
IMAGES = ["nginx:latest", "redis:7", "registry.local:5000/app"]
GPU = "example.com/gpu"

labels = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=3)
taint = st.fixed_dictionaries(
    {"key": st.sampled_from(KEYS), "effect": st.sampled_from(EFFECTS)}, optional={"value": st.sampled_from(VALUES)}
)
toleration = st.one_of(
    st.fixed_dictionaries(
        {"key": st.sampled_from(KEYS), "operator": st.just("Exists")}, optional={"effect": st.sampled_from(EFFECTS)}
    ),
    st.fixed_dictionaries(
        {"key": st.sampled_from(KEYS)},
        optional={"value": st.sampled_from(VALUES), "effect": st.sampled_from(EFFECTS), "operator": st.just("Equal")},
    ),
    st.just({"operator": "Exists"}),
)
expression = st.one_of(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(KEYS),
            "operator": st.sampled_from(["In", "NotIn"]),
            "values": st.lists(st.sampled_from(VALUES), min_size=1, max_size=3, unique=True),
        }
    ),
    st.fixed_dictionaries({"key": st.sampled_from(KEYS), "operator": st.sampled_from(["Exists", "DoesNotExist"])}),
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(KEYS),
            "operator": st.sampled_from(["Gt", "Lt"]),
            "values": st.sampled_from(VALUES[2:]).map(lambda value: [value]),
        }
    ),
)
name_field = st.fixed_dictionaries(
    {
        "key": st.just("metadata.name"),
        "operator": st.sampled_from(["In", "NotIn"]),
        "values": st.lists(st.sampled_from(NODE_NAMES), min_size=1, max_size=2, unique=True),
    }
)
term = st.fixed_dictionaries(
    {},
    optional={
        "matchExpressions": st.lists(expression, max_size=2),
        "matchFields": st.lists(name_field, max_size=2),
    },
)
node_affinity = st.fixed_dictionaries(
    {},
    optional={
        "requiredDuringSchedulingIgnoredDuringExecution": st.fixed_dictionaries(
            {"nodeSelectorTerms": st.lists(term, min_size=1, max_size=2)}
        ),
        "preferredDuringSchedulingIgnoredDuringExecution": st.lists(
            st.fixed_dictionaries({"weight": st.integers(1, 100), "preference": term}), max_size=3
        ),
    },
)
host_port = st.fixed_dictionaries(
    {"containerPort": st.just(80), "hostPort": st.sampled_from([80, 443])},
    optional={
        "protocol": st.sampled_from(["TCP", "UDP"]),
        "hostIP": st.sampled_from([ANY_ADDRESS, "127.0.0.1", "10.0.0.1"]),
    },
)
quantities = st.fixed_dictionaries(
    {},
    optional={
        "cpu": st.sampled_from(CPUS),
        "memory": st.sampled_from(MEMORIES),
        "ephemeral-storage": st.sampled_from(["1Gi", "10Gi"]),
        GPU: st.sampled_from(["1", "2"]),
    },
)


@st.composite
def nodes(draw: st.DrawFn, name: str = "") -> Object:
    """A node with one of `NODE_NAMES`, or `name`."""
    made = node(
        name or draw(st.sampled_from(NODE_NAMES)),
        labels=draw(labels),
        taints=draw(st.lists(taint, max_size=2)),
        unschedulable=draw(st.integers(0, 4)) == 0,
        images=draw(st.dictionaries(st.sampled_from(IMAGES), st.integers(0, 3_000_000_000), max_size=3)),
    )
    allocatable = made["status"]["allocatable"]
    allocatable.update(draw(quantities))
    allocatable["pods"] = draw(st.sampled_from(["0", "1", "3", "110"]))
    return made


@st.composite
def pods(draw: st.DrawFn, name: str = "web", on: str = "") -> Object:
    """A pod, bound to `on` if that is given."""
    made = pod(name, on=on, image=draw(st.sampled_from(["nginx", *IMAGES])), requests=draw(quantities))
    spec = made["spec"]
    spec["containers"][0]["ports"] = draw(st.lists(host_port, max_size=2))
    if draw(st.booleans()):
        spec["containers"].append({"name": "d", "image": "redis:7", "resources": {"requests": draw(quantities)}})
    if draw(st.booleans()):
        spec["initContainers"] = draw(
            st.lists(
                st.fixed_dictionaries(
                    {
                        "name": st.just("i"),
                        "image": st.sampled_from(IMAGES),
                        "resources": st.fixed_dictionaries({"requests": quantities}),
                    },
                    optional={"restartPolicy": st.just("Always")},
                ),
                max_size=3,
            )
        )
    if draw(st.integers(0, 3)) == 0:
        spec["overhead"] = draw(quantities)
    spec["tolerations"] = draw(st.lists(toleration, max_size=2))
    spec["nodeSelector"] = draw(st.one_of(st.just({}), labels))
    spec["affinity"] = {"nodeAffinity": draw(node_affinity)}
    return made


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[Object], list[Object]]:
    """Some nodes, and pods on them."""
    names = draw(st.lists(st.sampled_from(NODE_NAMES), unique=True, min_size=1))
    made = [draw(nodes(name)) for name in names]
    bound = [draw(pods(f"bound-{i}", draw(st.sampled_from(names)))) for i in range(draw(st.integers(0, 4)))]
    return made, bound
