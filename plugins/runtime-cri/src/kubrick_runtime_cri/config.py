"""Turns a pod into CRI's PodSandboxConfig and a container into its ContainerConfig, with the names, labels
and annotations that a kubelet writes (and that other tools look for). Pure.

The labels are also how a pod is found again after the agent restarts.
"""

import json
from typing import Any
from zlib import crc32

from kubrick_node import ContainerSpec, Mount, RuntimeFailure, SandboxSpec
from kubrick_runtime_cri.messages import ENUMS
from kubrick_runtime_cri.resources import container_resources, pod_resources
from kubrick_runtime_cri.security import container_security, sandbox_security

Object = dict[str, Any]

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"
RESTART_COUNT = "io.kubernetes.container.restartCount"
HASH = "io.kubernetes.container.hash"
MESSAGE_PATH = "io.kubernetes.container.terminationMessagePath"
MESSAGE_POLICY = "io.kubernetes.container.terminationMessagePolicy"
GRACE = "io.kubernetes.pod.terminationGracePeriod"
PORTS = "io.kubernetes.container.ports"

DEFAULT_MESSAGE_PATH = "/dev/termination-log"
HOSTNAME_LENGTH = 63
LOG_ROOT = "/var/log/pods"
_PROPAGATION = {
    "None": "PROPAGATION_PRIVATE",
    "HostToContainer": "PROPAGATION_HOST_TO_CONTAINER",
    "Bidirectional": "PROPAGATION_BIDIRECTIONAL",
}


def log_directory(pod: Object, root: str = LOG_ROOT) -> str:
    metadata = pod["metadata"]
    return f"{root}/{metadata['namespace']}_{metadata['name']}_{metadata['uid']}"


def log_path(name: str, attempt: int) -> str:
    """Relative to the pod's log directory."""
    return f"{name}/{attempt}.log"


def hostname(pod: Object) -> str:
    """The pod's own name for itself; "" when it has the machine's."""
    spec = pod["spec"]
    if spec.get("hostNetwork"):
        return ""
    text: str = spec.get("hostname") or pod["metadata"]["name"]
    return text[:HOSTNAME_LENGTH].rstrip("-.")


def sandbox_config(pod: Object, attempt: int, spec: SandboxSpec, log_root: str = LOG_ROOT) -> Object:
    """The PodSandboxConfig. Raises RuntimeFailure for what it can't say."""
    metadata, pod_spec = pod["metadata"], pod["spec"]
    if pod_spec.get("hostUsers") is False:
        who = f'RuntimeClass handler "{spec.handler}"' if spec.handler else "runtime"
        problem = f"can't set `spec.hostUsers: false`, {who} does not support user namespaces"
        raise RuntimeFailure("FailedCreatePodSandBox", f"Failed to create pod sandbox: {problem}")
    context = pod_spec.get("securityContext") or {}
    config: Object = {
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "attempt": attempt,
        },
        "hostname": spec.hostname or hostname(pod),
        "log_directory": spec.log_directory or log_directory(pod, log_root),
        "labels": {**(metadata.get("labels") or {}), **pod_labels(pod)},
        "annotations": {"kubernetes.io/config.source": "api", **(metadata.get("annotations") or {})},
        "port_mappings": [] if pod_spec.get("hostNetwork") else _port_mappings(pod),
        "linux": {
            "cgroup_parent": spec.cgroup_parent,
            "security_context": sandbox_security(pod),
            "sysctls": {entry["name"]: entry["value"] for entry in context.get("sysctls") or ()},
            "resources": pod_resources(pod),
        },
    }
    if spec.dns is not None:
        config["dns_config"] = {
            "servers": list(spec.dns.servers),
            "searches": list(spec.dns.searches),
            "options": list(spec.dns.options),
        }
    return config


def pod_labels(pod: Object) -> dict[str, str]:
    metadata = pod["metadata"]
    return {POD_NAME: metadata["name"], POD_NAMESPACE: metadata["namespace"], POD_UID: metadata["uid"]}


def _port_mappings(pod: Object) -> list[Object]:
    containers = [*pod["spec"].get("containers", ()), *(pod["spec"].get("initContainers") or ())]
    return [
        {
            "protocol": ENUMS["Protocol"][port.get("protocol", "TCP")],
            "container_port": port["containerPort"],
            "host_port": port["hostPort"],
            "host_ip": port.get("hostIP", ""),
        }
        for container in containers
        for port in container.get("ports") or ()
        if port.get("hostPort")
    ]


def container_config(
    spec: ContainerSpec,
    image: str,
    *,
    image_user: str = "",
    target_id: str = "",
    message_file: str = "",
    memory_capacity: int = 0,
    cgroup_v2: bool = False,
) -> Object:
    """The ContainerConfig; `image` is what the runtime knows it by, `message_file` the machine's file behind
    the termination message path. Raises RuntimeFailure (CreateContainerConfigError)."""
    pod, container = spec.pod, spec.container
    name = container["name"]
    mounts = [_mount(mount) for mount in spec.mounts]
    message_path = container.get("terminationMessagePath") or DEFAULT_MESSAGE_PATH
    if message_file and all(mount["container_path"] != message_path for mount in mounts):
        mounts.append(_mount(Mount(message_path, message_file)))
    config: Object = {
        "metadata": {"name": name, "attempt": spec.attempt},
        "image": {"image": image, "user_specified_image": container.get("image", "")},
        "command": list(spec.command or container.get("command") or ()),
        "args": list(spec.args or container.get("args") or ()),
        "working_dir": container.get("workingDir", ""),
        "envs": [{"key": key, "value": value.encode()} for key, value in spec.env],
        "mounts": mounts,
        "labels": {CONTAINER_NAME: name, **pod_labels(pod)},
        "annotations": _annotations(spec, message_path),
        "log_path": log_path(name, spec.attempt),
        "stdin": bool(container.get("stdin")),
        "stdin_once": bool(container.get("stdinOnce")),
        "tty": bool(container.get("tty")),
        "linux": {
            "resources": container_resources(pod, container, memory_capacity, cgroup_v2),
            "security_context": container_security(pod, container, image_user, target_id),
        },
    }
    signal = (container.get("lifecycle") or {}).get("stopSignal")
    if signal:
        config["stop_signal"] = ENUMS["Signal"].get(signal.replace("+", "PLUS").replace("-", "MINUS"))
    return config


def _mount(mount: Mount) -> Object:
    if mount.image:
        found = {"container_path": mount.container_path, "readonly": True, "image": {"image": mount.image}}
        return {**found, "image_sub_path": mount.host_path}
    return {
        "container_path": mount.container_path,
        "host_path": mount.host_path,
        "readonly": mount.read_only,
        "propagation": ENUMS["MountPropagation"][_PROPAGATION[mount.propagation]],
        "recursive_read_only": mount.recursive_read_only,
    }


def _annotations(spec: ContainerSpec, message_path: str) -> dict[str, str]:
    container = spec.container
    found = {
        HASH: container_hash(container),
        RESTART_COUNT: str(spec.attempt),
        MESSAGE_PATH: message_path,
        MESSAGE_POLICY: container.get("terminationMessagePolicy") or "File",
    }
    grace = spec.pod["spec"].get("terminationGracePeriodSeconds")
    if grace is not None:
        found[GRACE] = str(grace)
    if container.get("ports"):
        found[PORTS] = json.dumps(container["ports"], separators=(",", ":"))
    return found


def container_hash(container: Object) -> str:
    """Changes when the container's entry in the pod does."""
    return f"{crc32(json.dumps(container, sort_keys=True, separators=(',', ':')).encode()):x}"
