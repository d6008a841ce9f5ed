"""What a pod's status says, worked out without a runtime."""

from datetime import UTC, datetime

from kubrick_node import ContainerState, PodState
from kubrick_node.status import pod_status

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def make_pod(policy="Always", **spec):
    return {
        "metadata": {"name": "p", "namespace": "default", "uid": "u", "generation": 2},
        "spec": {"restartPolicy": policy, "containers": [{"name": "web", "image": "nginx"}], **spec},
        "status": {"phase": "Pending", "qosClass": "BestEffort"},
    }


def container(state, name="web", **more):
    return ContainerState(name, f"cri://{name}", "nginx", "sha", state, started_at=NOW, finished_at=NOW, **more)


def status_of(pod, *containers, sandbox=True, waiting=None, **more):
    there = PodState("s" if sandbox else "", sandbox, ("10.0.0.2",) if sandbox else (), containers)
    return pod_status(pod, there, now=NOW, host_ip="172.16.0.2", waiting=waiting or {}, **more)


def conditions(status):
    return {c["type"]: (c["status"], c.get("reason")) for c in status["conditions"]}


def test_a_pod_whose_containers_are_being_created_is_pending():
    status = status_of(make_pod(), sandbox=False)
    assert status["phase"] == "Pending"
    assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert conditions(status)["Ready"] == ("False", "ContainersNotReady")
    assert conditions(status)["PodReadyToStartContainers"] == ("False", None)
    assert status["qosClass"] == "BestEffort"


def test_a_running_pod_is_ready_and_has_its_addresses():
    status = status_of(make_pod(), container("running"))
    assert status["phase"] == "Running"
    assert (status["podIP"], status["hostIP"]) == ("10.0.0.2", "172.16.0.2")
    assert status["containerStatuses"][0]["ready"]
    assert conditions(status)["Ready"] == ("True", None)
    assert all(c["observedGeneration"] == 2 for c in status["conditions"])


def test_unready_containers_are_named():
    status = status_of(make_pod(), container("running", ready=False))
    ready = next(c for c in status["conditions"] if c["type"] == "Ready")
    assert ready["message"] == "containers with unready status: [web]"


def test_a_pod_waiting_for_its_init_container_is_initializing():
    pod = make_pod(initContainers=[{"name": "setup", "image": "i"}])
    status = status_of(pod, container("running", name="setup"))
    assert status["phase"] == "Pending"
    assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    initialized = next(c for c in status["conditions"] if c["type"] == "Initialized")
    assert (initialized["reason"], initialized["message"]) == (
        "ContainersNotInitialized",
        "containers with incomplete status: [setup]",
    )


def test_a_crash_looping_container_waits_and_shows_how_it_ended():
    ended = container("exited", exit_code=1, attempt=3)
    status = status_of(make_pod(), ended, waiting={"web": ("CrashLoopBackOff", "back-off 40s")})
    shown = status["containerStatuses"][0]
    assert status["phase"] == "Running"
    assert shown["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}
    assert shown["lastState"]["terminated"]["reason"] == "Error"
    assert shown["restartCount"] == 3


def test_pods_that_do_not_restart_succeed_or_fail():
    assert status_of(make_pod("Never"), container("exited"))["phase"] == "Succeeded"
    failed = status_of(make_pod("Never"), container("exited", exit_code=2))
    assert failed["phase"] == "Failed"
    assert conditions(failed)["Ready"] == ("False", "PodFailed")
    assert status_of(make_pod("OnFailure"), container("exited", exit_code=2))["phase"] == "Running"


def test_a_transition_time_moves_only_with_the_status():
    pod = make_pod()
    first = status_of(pod, container("running"))
    pod["status"] = first
    later = pod_status(
        pod,
        PodState("s", True, ("10.0.0.2",), (container("running"),)),
        now=NOW.replace(hour=13),
        host_ip="h",
        waiting={},
    )
    assert [c["lastTransitionTime"] for c in later["conditions"]] == [
        c["lastTransitionTime"] for c in first["conditions"]
    ]


def test_conditions_of_others_and_readiness_gates_are_respected():
    pod = make_pod(readinessGates=[{"conditionType": "example.com/open"}])
    status = status_of(pod, container("running"))
    assert conditions(status)["Ready"] == ("False", "ReadinessGatesNotReady")
    pod["status"]["conditions"] = [{"type": "example.com/open", "status": "True", "lastTransitionTime": "x"}]
    status = status_of(pod, container("running"))
    assert conditions(status)["Ready"] == ("True", None)
    assert conditions(status)["example.com/open"] == ("True", None)


def test_a_containers_status_tells_its_mounts_its_user_and_its_resources():
    mounts = [
        {"name": "a", "mountPath": "/a", "readOnly": True, "recursiveReadOnly": "IfPossible"},
        {"name": "b", "mountPath": "/b", "readOnly": True},
        {"name": "c", "mountPath": "/c"},
    ]
    pod = make_pod()
    asked = {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}
    pod["spec"]["containers"][0] |= {"volumeMounts": mounts, "resources": asked}
    user = {"uid": 5, "gid": 6, "supplementalGroups": [7]}
    there = container("running", user=user, stop_signal="SIGUSR1", recursive=("/a",))
    (told,) = status_of(pod, there)["containerStatuses"]
    assert told["volumeMounts"] == [
        {"name": "a", "mountPath": "/a", "readOnly": True, "recursiveReadOnly": "Enabled"},
        {"name": "b", "mountPath": "/b", "readOnly": True, "recursiveReadOnly": "Disabled"},
        {"name": "c", "mountPath": "/c"},
    ]
    assert (told["user"], told["stopSignal"]) == ({"linux": user}, "SIGUSR1")
    assert (told["resources"], told["allocatedResources"]) == (asked, {"cpu": "1"})
