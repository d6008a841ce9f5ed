"""What a pod needs next, decided without a runtime."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubrick_node import ContainerState, PodState
from kubrick_node.plan import Backoff, RunSandbox, Situation, StartContainer, decide, stop_order


def make_pod(policy="Always", init=(), containers=("web",)):
    return {
        "metadata": {"name": "p", "namespace": "default", "uid": "u"},
        "spec": {
            "restartPolicy": policy,
            "initContainers": [dict(c) for c in init],
            "containers": [{"name": name, "image": "i"} for name in containers],
        },
        "status": {"phase": "Pending"},
    }


def state(*containers, ready=True):
    return PodState("s" if ready else "", ready, ("10.0.0.2",), tuple(containers))


def running(name, attempt=0):
    return ContainerState(name, f"id-{name}", "i", "i", "running", attempt)


def exited(name, code, attempt=0):
    return ContainerState(name, f"id-{name}", "i", "i", "exited", attempt, exit_code=code)


def next_steps(pod, there, now=100.0, ended=None, backoffs=None, failures=None):
    plan = decide(Situation(pod, there, now, ended or {}, backoffs or {}, failures or {}))
    steps = ["sandbox" if isinstance(a, RunSandbox) else (a.container["name"], a.role, a.attempt) for a in plan.actions]
    return steps, plan


def test_the_sandbox_comes_first():
    assert next_steps(make_pod(), state(ready=False))[0] == ["sandbox"]


def test_init_containers_run_one_after_another_and_sidecars_stay():
    pod = make_pod(init=[{"name": "log", "restartPolicy": "Always"}, {"name": "setup"}])
    assert next_steps(pod, state())[0] == [("log", "sidecar", 0)]
    assert next_steps(pod, state(running("log")))[0] == [("setup", "init", 0)]
    assert next_steps(pod, state(running("log"), running("setup")))[0] == []
    assert next_steps(pod, state(running("log"), exited("setup", 0)))[0] == [("web", "app", 0)]
    both = state(exited("log", 1), exited("setup", 0), running("web"))
    assert next_steps(pod, both, ended={"log": 100.0})[0] == [("log", "sidecar", 1)]


@pytest.mark.parametrize(
    ("policy", "code", "restarted"),
    [("Always", 0, True), ("Always", 1, True), ("OnFailure", 0, False), ("OnFailure", 1, True), ("Never", 1, False)],
)
def test_the_restart_policy_is_kept(policy, code, restarted):
    steps, _ = next_steps(make_pod(policy), state(exited("web", code)))
    assert steps == ([("web", "app", 1)] if restarted else [])


def test_a_failed_init_container_of_a_pod_that_never_restarts_is_the_end():
    pod = make_pod("Never", init=[{"name": "setup"}])
    assert next_steps(pod, state(exited("setup", 1)))[0] == []


def test_the_first_restart_is_at_once_and_later_ones_wait_in_the_kubelets_words():
    pod = make_pod()
    there = state(exited("web", 1, attempt=1))
    backoff = Backoff()
    assert next_steps(pod, there, ended={"web": 95.0}, backoffs={"web": backoff})[0] == [("web", "app", 2)]
    backoff.raise_(90.0)
    steps, plan = next_steps(pod, there, ended={"web": 95.0}, backoffs={"web": backoff})
    assert steps == []
    reason, message = plan.waiting["web"]
    assert reason == "CrashLoopBackOff"
    assert message == "back-off 10s restarting failed container=web pod=p_default(u)"
    assert plan.again_at == 105.0


def test_the_backoff_doubles_to_five_minutes_and_starts_over_after_ten_quiet_ones():
    backoff, seen = Backoff(), []
    for n in range(7):
        backoff.raise_(n * 300.0)
        seen.append(backoff.seconds)
    assert seen == [10, 20, 40, 80, 160, 300, 300]
    backoff.raise_(6 * 300.0 + 601)
    assert backoff.seconds == 10


def test_an_image_that_failed_to_pull_waits_as_image_pull_back_off():
    backoff = Backoff(10.0, 95.0)
    _, plan = next_steps(
        make_pod(), state(), backoffs={"web": backoff}, failures={"web": ("ErrImagePull", "no such host")}
    )
    assert plan.waiting["web"] == ("ImagePullBackOff", 'Back-off pulling image "i": ErrImagePull: no such host')
    assert plan.actions == []


def test_a_pod_that_ended_for_good_gets_no_new_sandbox():
    assert next_steps(make_pod("Never"), state(exited("web", 0), ready=False))[0] == []


def test_sidecars_stop_after_the_apps_last_started_first():
    pod = make_pod(init=[{"name": "a", "restartPolicy": "Always"}, {"name": "b", "restartPolicy": "Always"}])
    order = [[c.name for c in batch] for batch in stop_order(pod, state(running("a"), running("b"), running("web")))]
    assert order == [["web"], ["b"], ["a"]]


@given(
    policy=st.sampled_from(["Always", "OnFailure", "Never"]),
    found=st.lists(st.sampled_from(["absent", "running", "ok", "failed"]), min_size=3, max_size=3),
    sidecar=st.booleans(),
)
def test_no_container_is_started_that_is_running_and_no_app_before_its_inits(policy, found, sidecar):
    init = {"name": "setup", **({"restartPolicy": "Always"} if sidecar else {})}
    pod = make_pod(policy, init=[init], containers=("web", "db"))
    make = {"running": running, "ok": lambda n: exited(n, 0), "failed": lambda n: exited(n, 1)}
    there = [make[kind](name) for name, kind in zip(("setup", "web", "db"), found, strict=True) if kind != "absent"]
    plan = decide(Situation(pod, state(*there), 100.0, {}, {}, {}))
    started = [a.container["name"] for a in plan.actions if isinstance(a, StartContainer)]
    assert len(started) == len(set(started))
    for name, kind in zip(("setup", "web", "db"), found, strict=True):
        if kind == "running":
            assert name not in started
    if found[0] == "absent":
        assert "web" not in started or (sidecar and "setup" in started)


def test_a_container_that_cannot_be_run_is_in_a_crash_loop_like_any_other():
    """Its own reason shows once, when it happens: `fresh`, not the plan's."""
    backoff = Backoff(20.0, 95.0)
    there = state(exited("web", 128, attempt=2))
    failures = {"web": ("RunContainerError", "exec: no such file")}
    steps, plan = next_steps(make_pod(), there, ended={"web": 95.0}, backoffs={"web": backoff}, failures=failures)
    assert steps == []
    assert plan.waiting["web"][0] == "CrashLoopBackOff"
    assert plan.waiting["web"][1].startswith("back-off 20s restarting")


@pytest.mark.parametrize("reason", ["ErrImagePull", "ErrImageNeverPull", "RegistryUnavailable"])
def test_an_absent_image_is_looked_for_long_before_the_next_pull(reason):
    _, plan = next_steps(make_pod(), state(), backoffs={"web": Backoff(300.0, 95.0)}, failures={"web": (reason, "no")})
    assert plan.again_at == 102.0


def test_the_longest_pause_between_restarts_can_be_made_shorter():
    backoff, seen = Backoff(), []
    for n in range(4):
        backoff.raise_(n * 10.0, limit=15.0)
        seen.append(backoff.seconds)
    assert seen == [10, 15, 15, 15]
    brief = Backoff()
    brief.raise_(0.0, limit=1.0)
    assert brief.seconds == 1
