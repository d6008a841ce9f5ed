"""What is remembered of pods' specs changes no answer."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubrick_api_core.pod_memory import Memory, shape
from kubrick_api_core.pod_validation import validate_pod
from kubrick_api_core.pod_warnings import pod_warnings
from kubrick_api_core.pods import PodStrategy

Object = dict[str, Any]


def pod(name: str = "a", volume: str = "kube-api-access-abcde", mounted: str = "kube-api-access-abcde") -> Object:
    made: Object = {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "serviceAccountName": "default",
            "volumes": [{"name": volume, "emptyDir": {}}],
            "containers": [
                {"name": "main", "image": "busybox:1", "volumeMounts": [{"name": mounted, "mountPath": "/token"}]}
            ],
        },
    }
    PodStrategy().default(made)
    return made


CHANGES: dict[str, Any] = {
    "name": lambda made: made["metadata"].update(name="not.a.label"),
    "image": lambda made: made["spec"]["containers"][0].update(image=" "),
    "mount": lambda made: made["spec"]["containers"][0]["volumeMounts"][0].update(name="kube-api-access-fghij"),
    "policy": lambda made: made["spec"].update(restartPolicy="Sometimes"),
    "annotation": lambda made: made["metadata"].update(
        annotations={"container.apparmor.security.beta.kubernetes.io/main": "nonsense"}
    ),
    "ephemeral": lambda made: made["spec"]["volumes"].append(
        {"name": "x" * 60, "ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"]}}}}
    ),
    "twice": lambda made: made["spec"]["containers"].append(copy.deepcopy(made["spec"]["containers"][0])),
}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("a", "b", "c" * 250)),
            st.sampled_from(("kube-api-access-abcde", "kube-api-access-fghij")),
            st.sets(st.sampled_from(sorted(CHANGES)), max_size=2),
        ),
        max_size=12,
    )
)
def test_a_strategy_with_a_memory_answers_as_one_without(pods: list[tuple[str, str, set[str]]]) -> None:
    strategy = PodStrategy()
    for name, volume, changes in pods:
        made = pod(name, volume, volume)
        for change in sorted(changes):
            CHANGES[change](made)
        assert [str(error) for error in strategy.validate(made)] == [str(error) for error in validate_pod(made)]
        assert strategy.warnings(made, None) == pod_warnings(made)


def test_the_pods_of_one_deployment_have_one_shape() -> None:
    assert shape(pod("a")) == shape(pod("b", "kube-api-access-fghij", "kube-api-access-fghij"))


def test_a_mount_of_another_tokens_volume_is_another_shape() -> None:
    assert shape(pod()) != shape(pod(mounted="kube-api-access-fghij"))


@pytest.mark.parametrize("change", ["annotation", "image", "policy"])
def test_what_matters_is_in_the_shape(change: str) -> None:
    made = pod()
    CHANGES[change](made)
    assert shape(made) != shape(pod())


def test_a_pod_whose_claims_are_named_after_it_has_no_shape() -> None:
    made = pod()
    CHANGES["ephemeral"](made)
    assert shape(made) is None


def test_a_full_memory_begins_anew() -> None:
    memory = Memory(capacity=2)
    for number in range(3):
        memory.put(b"%d" % number, number)
    assert [memory.get(b"%d" % number) for number in range(3)] == [None, None, 2]
    assert memory.get(None) is None
