"""Security contexts, pod's and container's, as CRI wants them. Pure.

Source: the kubelet's determineEffectiveSecurityContext, NamespacesForPod and verifyRunAsNonRoot.
"""

from typing import Any

from kubrick_node import RuntimeFailure
from kubrick_runtime_cri.messages import ENUMS

Object = dict[str, Any]

NAMESPACE = ENUMS["NamespaceMode"]
PROFILE = ENUMS["SecurityProfile.ProfileType"]
SECCOMP_ROOT = "/var/lib/kubelet/seccomp/"
MASKED_PATHS = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
]
READONLY_PATHS = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


def namespaces(pod: Object, target_id: str = "") -> Object:
    """NamespaceOption. `target_id`: the container whose processes an ephemeral container shall see."""
    spec = pod["spec"]
    pid = "POD" if spec.get("shareProcessNamespace") else "NODE" if spec.get("hostPID") else "CONTAINER"
    found = {
        "network": NAMESPACE["NODE" if spec.get("hostNetwork") else "POD"],
        "ipc": NAMESPACE["NODE" if spec.get("hostIPC") else "POD"],
        "pid": NAMESPACE["TARGET" if target_id else pid],
    }
    return {**found, "target_id": target_id} if target_id else found


def sandbox_security(pod: Object) -> Object:
    """LinuxSandboxSecurityContext."""
    context = pod["spec"].get("securityContext") or {}
    found: Object = {
        "namespace_options": namespaces(pod),
        "privileged": any((c.get("securityContext") or {}).get("privileged") for c in _all_containers(pod)),
        # The sandbox's own process needs nothing that the default profile forbids, whatever the pod runs with.
        "seccomp": {"profile_type": PROFILE["RuntimeDefault"]},
        **_groups(context),
    }
    if context.get("runAsUser") is not None:
        found["run_as_user"] = {"value": context["runAsUser"]}
        if context.get("runAsGroup") is not None:
            found["run_as_group"] = {"value": context["runAsGroup"]}
    if context.get("seLinuxOptions"):
        found["selinux_options"] = context["seLinuxOptions"]
    return found


def container_security(pod: Object, container: Object, image_user: str, target_id: str = "") -> Object:
    """LinuxContainerSecurityContext. `image_user` is what the image says to run as: a number, a name, or "".
    Raises RuntimeFailure when the container may not run as root and would."""
    whole = pod["spec"].get("securityContext") or {}
    own = container.get("securityContext") or {}
    context = {**whole, **{key: value for key, value in own.items() if value is not None}}
    user = context.get("runAsUser")
    if context.get("runAsNonRoot"):
        _verify_non_root(pod, container, user, image_user)
    privileged = bool(own.get("privileged"))
    unmasked = own.get("procMount") == "Unmasked"
    found: Object = {
        "namespace_options": namespaces(pod, target_id),
        "privileged": privileged,
        "readonly_rootfs": bool(own.get("readOnlyRootFilesystem")),
        "no_new_privs": own.get("allowPrivilegeEscalation") is False,
        "masked_paths": [] if unmasked else MASKED_PATHS,
        "readonly_paths": [] if unmasked else READONLY_PATHS,
        "seccomp": {"profile_type": PROFILE["Unconfined"]}
        if privileged
        else _profile(context.get("seccompProfile"), "Unconfined", SECCOMP_ROOT),
        **_groups(whole),
    }
    if user is not None:
        found["run_as_user"] = {"value": user}
    elif image_user.isdigit():
        found["run_as_user"] = {"value": int(image_user)}
    elif image_user:
        found["run_as_username"] = image_user
    if context.get("runAsGroup") is not None:
        found["run_as_group"] = {"value": context["runAsGroup"]}
    capabilities = own.get("capabilities") or {}
    if capabilities:
        found["capabilities"] = {
            "add_capabilities": capabilities.get("add") or [],
            "drop_capabilities": capabilities.get("drop") or [],
        }
    if context.get("seLinuxOptions"):
        found["selinux_options"] = context["seLinuxOptions"]
    if context.get("appArmorProfile") and not privileged:
        found["apparmor"] = _profile(context["appArmorProfile"], "RuntimeDefault", "")
    return found


def _groups(context: Object) -> Object:
    groups = [*(context.get("supplementalGroups") or ())]
    if context.get("fsGroup") is not None:
        groups.append(context["fsGroup"])
    found: Object = {"supplemental_groups": groups}
    if context.get("supplementalGroupsPolicy") == "Strict":
        found["supplemental_groups_policy"] = ENUMS["SupplementalGroupsPolicy"]["Strict"]
    return found


def _profile(profile: Object | None, default: str, root: str) -> Object:
    if profile is None:
        return {"profile_type": PROFILE[default]}
    found: Object = {"profile_type": PROFILE[profile["type"]]}
    if profile["type"] == "Localhost":
        found["localhost_ref"] = root + profile.get("localhostProfile", "")
    return found


def _all_containers(pod: Object) -> list[Object]:
    spec = pod["spec"]
    return [*(spec.get("initContainers") or ()), *spec.get("containers", ()), *(spec.get("ephemeralContainers") or ())]


def _verify_non_root(pod: Object, container: Object, user: int | None, image_user: str) -> None:
    metadata = pod["metadata"]
    where = f'(pod: "{metadata["name"]}_{metadata["namespace"]}({metadata["uid"]})", container: {container["name"]})'
    if user == 0:
        problem = f"container's runAsUser breaks non-root policy {where}"
    elif user is not None:
        return
    elif image_user and not image_user.isdigit():
        problem = (
            f"container has runAsNonRoot and image has non-numeric user ({image_user}), "
            f"cannot verify user is non-root {where}"
        )
    elif not image_user or int(image_user) == 0:
        problem = f"container has runAsNonRoot and image will run as root {where}"
    else:
        return
    raise RuntimeFailure("CreateContainerConfigError", problem)
