"""Pods and containers as CRI's configurations."""

from typing import Any

import pytest

from kubrick_node import DNS, ContainerSpec, Mount, RuntimeFailure, SandboxSpec
from kubrick_runtime_cri.config import container_config, sandbox_config
from kubrick_runtime_cri.messages import CRI, ENUMS
from kubrick_runtime_cri.resources import oom_score
from kubrick_runtime_cri.security import container_security

Object = dict[str, Any]
NAMESPACE = ENUMS["NamespaceMode"]
GI = 2**30


def a_pod(*containers: Object, **spec: Any) -> Object:
    metadata = {"name": "web", "namespace": "shop", "uid": "u-1", "labels": {"app": "web"}}
    return {"metadata": metadata, "spec": {"containers": list(containers) or [{"name": "main"}], **spec}}


def config_of(container: Object, pod: Object | None = None, **more: Any) -> Object:
    fields = {key: more.pop(key) for key in ("env", "command", "args", "mounts") if key in more}
    return container_config(
        ContainerSpec(pod or a_pod(container), container, "sandbox", "app", more.pop("attempt", 0), **fields),
        "sha256:1",
        **more,
    )


def test_a_sandbox_is_named_and_labelled_as_the_kubelet_does_it() -> None:
    config = sandbox_config(a_pod(), 2, SandboxSpec())
    assert config["metadata"] == {"name": "web", "namespace": "shop", "uid": "u-1", "attempt": 2}
    assert config["labels"] == {
        "app": "web",
        "io.kubernetes.pod.name": "web",
        "io.kubernetes.pod.namespace": "shop",
        "io.kubernetes.pod.uid": "u-1",
    }
    assert config["log_directory"] == "/var/log/pods/shop_web_u-1"
    assert config["hostname"] == "web"


def test_a_sandbox_takes_what_the_agent_decided() -> None:
    spec = SandboxSpec("pretty", DNS(("10.0.0.10",), ("a.b",), ("ndots:5",)), "/logs/x", "/kubepods/podu-1")
    config = sandbox_config(a_pod(), 0, spec)
    assert config["hostname"] == "pretty"
    assert config["log_directory"] == "/logs/x"
    assert config["dns_config"] == {"servers": ["10.0.0.10"], "searches": ["a.b"], "options": ["ndots:5"]}
    assert config["linux"]["cgroup_parent"] == "/kubepods/podu-1"


def test_a_pod_on_the_machines_network_has_neither_hostname_nor_port_mappings() -> None:
    container = {"name": "main", "ports": [{"containerPort": 80, "hostPort": 80}]}
    config = sandbox_config(a_pod(container, hostNetwork=True), 0, SandboxSpec())
    assert config["hostname"] == ""
    assert config["port_mappings"] == []
    assert config["linux"]["security_context"]["namespace_options"]["network"] == NAMESPACE["NODE"]


def test_only_ports_with_a_host_port_are_mapped() -> None:
    ports = [{"containerPort": 80}, {"containerPort": 53, "hostPort": 5353, "protocol": "UDP", "hostIP": "127.0.0.1"}]
    config = sandbox_config(a_pod({"name": "main", "ports": ports}), 0, SandboxSpec())
    assert config["port_mappings"] == [{"protocol": 1, "container_port": 53, "host_port": 5353, "host_ip": "127.0.0.1"}]


@pytest.mark.parametrize(
    ("spec", "pid", "ipc"),
    [
        ({}, "CONTAINER", "POD"),
        ({"shareProcessNamespace": True}, "POD", "POD"),
        ({"hostPID": True, "hostIPC": True}, "NODE", "NODE"),
    ],
)
def test_namespaces_follow_the_pod(spec: Object, pid: str, ipc: str) -> None:
    options = sandbox_config(a_pod(**spec), 0, SandboxSpec())["linux"]["security_context"]["namespace_options"]
    assert options == {"network": NAMESPACE["POD"], "pid": NAMESPACE[pid], "ipc": NAMESPACE[ipc]}


def test_sysctls_groups_and_users_reach_the_sandbox() -> None:
    context = {
        "sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}],
        "runAsUser": 5,
        "runAsGroup": 6,
        "supplementalGroups": [7],
        "fsGroup": 8,
    }
    linux = sandbox_config(a_pod(securityContext=context), 0, SandboxSpec())["linux"]
    assert linux["sysctls"] == {"kernel.shm_rmid_forced": "1"}
    assert linux["security_context"]["run_as_user"] == {"value": 5}
    assert linux["security_context"]["run_as_group"] == {"value": 6}
    assert linux["security_context"]["supplemental_groups"] == [7, 8]


def test_user_namespaces_are_refused_not_ignored() -> None:
    with pytest.raises(RuntimeFailure, match="hostUsers"):
        sandbox_config(a_pod(hostUsers=False), 0, SandboxSpec())


def test_an_images_content_is_the_runtimes_to_mount() -> None:
    config = config_of({"name": "main", "image": "web:1"}, mounts=(Mount("/data", "part", True, image="data:1"),))
    found = next(mount for mount in config["mounts"] if mount["container_path"] == "/data")
    assert found == {
        "container_path": "/data",
        "readonly": True,
        "image": {"image": "data:1"},
        "image_sub_path": "part",
    }


def test_a_container_carries_its_attempt_where_the_kubelet_looks_for_it() -> None:
    config = config_of(
        {"name": "main", "image": "web:1", "terminationMessagePolicy": "FallbackToLogsOnError"}, attempt=3
    )
    assert config["metadata"] == {"name": "main", "attempt": 3}
    assert config["log_path"] == "main/3.log"
    assert config["image"] == {"image": "sha256:1", "user_specified_image": "web:1"}
    assert config["labels"]["io.kubernetes.container.name"] == "main"
    assert config["annotations"]["io.kubernetes.container.restartCount"] == "3"
    assert config["annotations"]["io.kubernetes.container.terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_env_command_and_mounts_are_taken_as_the_agent_made_them() -> None:
    container = {"name": "main", "command": ["raw", "$(A)"], "workingDir": "/w", "stdin": True, "tty": True}
    mounts = (Mount("/data", "/host/data", True, "HostToContainer"),)
    config = config_of(container, env=(("A", "b"),), command=("raw", "b"), mounts=mounts, message_file="/m/0")
    assert config["command"] == ["raw", "b"]
    assert config["envs"] == [{"key": "A", "value": b"b"}]
    assert config["working_dir"] == "/w"
    assert (config["stdin"], config["stdin_once"], config["tty"]) == (True, False, True)
    assert [(m["container_path"], m["host_path"], m["readonly"], m["propagation"]) for m in config["mounts"]] == [
        ("/data", "/host/data", True, 1),
        ("/dev/termination-log", "/m/0", False, 0),
    ]


def test_a_mount_in_its_place_replaces_the_termination_message() -> None:
    config = config_of({"name": "main"}, mounts=(Mount("/dev/termination-log", "/mine"),), message_file="/m/0")
    assert [mount["host_path"] for mount in config["mounts"]] == ["/mine"]


def test_resources_become_shares_quota_and_limits() -> None:
    container = {
        "name": "main",
        "resources": {"requests": {"cpu": "250m", "memory": "1Gi"}, "limits": {"cpu": "1500m", "memory": "2Gi"}},
    }
    resources = config_of(container, memory_capacity=8 * GI)["linux"]["resources"]
    assert resources["cpu_shares"] == 256
    assert resources["cpu_quota"] == 150_000
    assert resources["cpu_period"] == 100_000
    assert resources["memory_limit_in_bytes"] == 2 * GI
    assert resources["oom_score_adj"] == 875
    assert "unified" not in resources


def test_a_cpu_limit_alone_is_also_the_request_and_none_is_the_least() -> None:
    limited = {"name": "main", "resources": {"limits": {"cpu": "2"}}}
    assert config_of(limited)["linux"]["resources"]["cpu_shares"] == 2048
    bare = config_of({"name": "main"})["linux"]["resources"]
    assert (bare["cpu_shares"], bare["cpu_quota"], bare["memory_limit_in_bytes"]) == (2, 0, 0)


def test_on_cgroup_v2_a_container_dies_as_a_whole() -> None:
    assert config_of({"name": "main"}, cgroup_v2=True)["linux"]["resources"]["unified"] == {"memory.oom.group": "1"}


@pytest.mark.parametrize(
    ("resources", "spec", "score"),
    [
        ({}, {}, 1000),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}, {}, -997),
        ({"requests": {"memory": "8Gi"}}, {}, 3),
        ({"requests": {"cpu": "1"}}, {}, 999),
        ({}, {"priority": 2_000_001_000}, -997),
    ],
)
def test_oom_scores_follow_the_quality_of_service(resources: Object, spec: Object, score: int) -> None:
    container = {"name": "main", "resources": resources}
    assert oom_score(a_pod(container, **spec), container, 8 * GI) == score


def security(own: Object, whole: Object | None = None, user: str = "") -> Object:
    container = {"name": "main", "securityContext": own}
    return container_security(a_pod(container, securityContext=whole or {}), container, user)


def test_the_containers_security_context_wins_over_the_pods() -> None:
    found = security({"runAsUser": 2, "readOnlyRootFilesystem": True}, {"runAsUser": 1, "runAsGroup": 3, "fsGroup": 4})
    assert found["run_as_user"] == {"value": 2}
    assert found["run_as_group"] == {"value": 3}
    assert found["supplemental_groups"] == [4]
    assert found["readonly_rootfs"] is True


def test_the_images_user_counts_when_nobody_says_otherwise() -> None:
    assert security({}, user="33")["run_as_user"] == {"value": 33}
    assert security({}, user="www")["run_as_username"] == "www"
    assert "run_as_user" not in security({})


def test_capabilities_and_privileges() -> None:
    found = security(
        {
            "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]},
            "allowPrivilegeEscalation": False,
            "privileged": False,
        }
    )
    assert found["capabilities"] == {"add_capabilities": ["NET_ADMIN"], "drop_capabilities": ["ALL"]}
    assert found["no_new_privs"] is True
    assert found["seccomp"] == {"profile_type": 1}
    assert "/proc/kcore" in found["masked_paths"]
    assert security({"procMount": "Unmasked"})["masked_paths"] == []
    assert security({}, {"seccompProfile": {"type": "RuntimeDefault"}})["seccomp"] == {"profile_type": 0}
    local = security({"seccompProfile": {"type": "Localhost", "localhostProfile": "p.json"}})
    assert local["seccomp"] == {"profile_type": 2, "localhost_ref": "/var/lib/kubelet/seccomp/p.json"}


@pytest.mark.parametrize(
    ("own", "user", "message"),
    [
        ({}, "", "image will run as root"),
        ({}, "0", "image will run as root"),
        ({}, "www", "image has non-numeric user \\(www\\)"),
        ({"runAsUser": 0}, "5", "runAsUser breaks non-root policy"),
    ],
)
def test_what_would_run_as_root_and_may_not_is_refused(own: Object, user: str, message: str) -> None:
    with pytest.raises(RuntimeFailure, match=message) as caught:
        security({"runAsNonRoot": True, **own}, user=user)
    assert caught.value.reason == "CreateContainerConfigError"
    assert 'pod: "web_shop(u-1)"' in caught.value.message


def test_whoever_does_not_run_as_root_may_run() -> None:
    assert security({"runAsNonRoot": True}, user="5")["run_as_user"] == {"value": 5}
    assert security({"runAsNonRoot": True, "runAsUser": 6}, user="www")["run_as_user"] == {"value": 6}


def test_configurations_fit_the_messages() -> None:
    pod = a_pod(
        {"name": "main", "image": "x", "lifecycle": {"stopSignal": "SIGUSR1"}},
        securityContext={"seLinuxOptions": {"level": "s0"}, "appArmorProfile": {"type": "Unconfined"}},
    )
    sandbox = sandbox_config(pod, 0, SandboxSpec(dns=DNS()))
    container = config_of(pod["spec"]["containers"][0], pod, message_file="/m")
    request = CRI.message("CreateContainerRequest")(pod_sandbox_id="s", config=container, sandbox_config=sandbox)
    same = CRI.message("CreateContainerRequest").FromString(request.SerializeToString())
    assert same.config.stop_signal == ENUMS["Signal"]["SIGUSR1"]
    assert same.sandbox_config.labels["app"] == "web"
    assert same.config.linux.security_context.selinux_options.level == "s0"
