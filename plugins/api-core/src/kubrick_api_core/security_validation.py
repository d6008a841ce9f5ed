"""What can be wrong with security contexts: users, profiles, sysctls, Windows options, namespaces of the host.

Paths and wording are those of pkg/apis/core/validation (ValidateSecurityContext, validatePodSpecSecurityContext,
validateWindows, validateLinux, validateWindowsHostProcessPod, validateHostUsers).
"""

import re
from collections.abc import Iterator

from kubrick_api.errors import (
    FieldError,
    duplicate,
    forbidden_value,
    invalid_value,
    not_supported,
    required,
    too_long,
)
from kubrick_api.resource import Object
from kubrick_api.validation import name_is_dns_subdomain
from kubrick_api_core.internal import PROFILE, SECURITY_CONTEXT, internal
from kubrick_api_core.rules import descending_path

Errors = list[FieldError]

MAX_ID = 2**31 - 1
ID_RANGE = f"must be between 0 and {MAX_ID}, inclusive"
PROFILE_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")
PATH_MAX = 4095
SYSCTL_LIMIT = 253
SYSCTL = r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
is_sysctl = re.compile(SYSCTL).fullmatch
NET_SYSCTLS = ("net.",)
IPC_SYSCTLS = ("kernel.sem", "kernel.shm", "kernel.msg", "fs.mqueue.")
CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
WINDOWS = "cannot be set for a windows pod"
LINUX = "windows options cannot be set for a linux pod"

has_control = re.compile(r"[\x00-\x1f\x7f]").search
is_net_bios = re.compile(r'[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}').fullmatch
_DNS = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
is_windows_domain = re.compile(rf"{_DNS}(?:\.{_DNS})*").fullmatch
has_bad_user_character = re.compile(r'["/\\:;|=,+*?<>@\[\]]').search
is_dots_and_spaces = re.compile(r"[. ]+").fullmatch


def user_or_group(value: int, path: str) -> list[FieldError]:
    return [] if 0 <= value <= MAX_ID else [invalid_value(path, value, ID_RANGE)]


def containers(spec: Object, path: str) -> Iterator[tuple[Object, str]]:
    """Every container with its path: init containers first, as VisitContainersWithPath goes."""
    for name in CONTAINER_LISTS:
        for i, container in enumerate(spec.get(name) or ()):
            yield container, f"{path}.{name}[{i}]"


def validate_container_security(context: Object, path: str, errors: Errors, *, host_users: bool) -> None:
    """A container's securityContext. `host_users`: the pod has no user namespace of its own."""
    for name in ("runAsUser", "runAsGroup"):
        if (value := context.get(name)) is not None:
            errors += user_or_group(value, f"{path}.{name}")
    if (mount := context.get("procMount")) is not None:
        if mount not in ("Default", "Unmasked"):
            errors.append(not_supported(f"{path}.procMount", mount, ("Default", "Unmasked")))
        if host_users and mount == "Unmasked":
            errors.append(invalid_value(f"{path}.procMount", mount, "`hostUsers` must be false to use `Unmasked`"))
    if (profile := context.get("seccompProfile")) is not None:
        _seccomp(profile, f"{path}.seccompProfile", errors)
    if context.get("allowPrivilegeEscalation") is False:
        shown = internal(context, SECURITY_CONTEXT)
        if context.get("privileged"):
            why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            errors.append(invalid_value(path, shown, why))
        for added in (context.get("capabilities") or {}).get("add") or ():
            if added == "CAP_SYS_ADMIN":
                why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
                errors.append(invalid_value(path, shown, why))
    if (options := context.get("windowsOptions")) is not None:
        _windows_options(options, f"{path}.windowsOptions", errors)
    if (profile := context.get("appArmorProfile")) is not None:
        errors += app_armor(profile, f"{path}.appArmorProfile")


def _seccomp(profile: Object, path: str, errors: Errors) -> None:
    kind, local = profile.get("type") or "", profile.get("localhostProfile")
    if not kind:
        errors.append(required(f"{path}.type", "type is required when seccompProfile is set"))
    elif kind not in PROFILE_TYPES:
        errors.append(not_supported(f"{path}.type", kind, PROFILE_TYPES))
    at = f"{path}.localhostProfile"
    if kind == "Localhost":
        if local is None:
            errors.append(required(at, "must be set when seccomp type is Localhost"))
        else:
            errors += descending_path(local, at)
    elif local is not None:
        errors.append(invalid_value(at, internal(profile, PROFILE), "can only be set when seccomp type is Localhost"))


def app_armor(profile: Object, path: str) -> list[FieldError]:
    """An appArmorProfile."""
    kind, local, at = profile.get("type") or "", profile.get("localhostProfile"), f"{path}.localhostProfile"
    needed = required(at, "must be set when AppArmor type is Localhost")
    if not kind:
        return [required(f"{path}.type", "type is required when appArmorProfile is set")]
    if kind not in PROFILE_TYPES:
        return [not_supported(f"{path}.type", kind, PROFILE_TYPES)]
    if kind != "Localhost":
        why = "can only be set when AppArmor type is Localhost"
        return [] if local is None else [invalid_value(at, local, why)]
    if local is None:
        return [needed]
    errors = []
    if local.strip() != local:
        errors.append(invalid_value(at, local, "must not be padded with whitespace"))
    elif not local:
        errors.append(needed)
    if len(local.encode()) > PATH_MAX:
        errors.append(too_long(at, PATH_MAX))
    return errors


def _windows_options(options: Object, path: str, errors: Errors) -> None:
    if (name := options.get("gmsaCredentialSpecName")) is not None:
        at = f"{path}.gmsaCredentialSpecName"
        errors += [invalid_value(at, name, why) for why in name_is_dns_subdomain(name)]
    if (credential := options.get("gmsaCredentialSpec")) is not None:
        at = f"{path}.gmsaCredentialSpec"
        if not credential:
            errors.append(invalid_value(at, credential, "gmsaCredentialSpec cannot be an empty string"))
        elif len(credential.encode()) > 64 * 1024:
            errors.append(invalid_value(at, credential, "gmsaCredentialSpec size must be under 64 KiB"))
    if (user := options.get("runAsUserName")) is not None:
        errors += [invalid_value(f"{path}.runAsUserName", user, f"runAsUserName{why}") for why in _windows_user(user)]


def _windows_user(text: str) -> Iterator[str]:
    """What is wrong with DOMAIN\\USER."""
    if not text:
        yield " cannot be an empty string"
        return
    if has_control(text):
        yield " cannot contain control characters"
        return
    parts = text.split("\\")
    if len(parts) > 2:
        yield " cannot contain more than one backslash"
        return
    user = parts[-1]
    if len(parts) == 2:
        if len(parts[0]) >= 256:
            yield "'s Domain length must be under 256 characters"
        if not is_net_bios(parts[0]) and not is_windows_domain(parts[0]):
            yield "'s Domain doesn't match the NetBios nor the DNS format"
    if not user:
        yield "'s User cannot be empty"
    elif len(user) > 104:
        yield "'s User length must not be longer than 104 characters"
    if is_dots_and_spaces(user):
        yield "'s User cannot contain only periods or spaces"
    if has_bad_user_character(user):
        yield "'s User cannot contain the following characters: \"/\\:;|=,+*?<>@[]"


def validate_pod_security(spec: Object, path: str, errors: Errors, *, host_sysctls: bool = False) -> None:
    """The pod's securityContext. `host_sysctls`: sysctls of namespaces shared with the host were there before."""
    context, at = spec.get("securityContext") or {}, f"{path}.securityContext"
    for name in ("fsGroup", "runAsUser", "runAsGroup"):
        if (value := context.get(name)) is not None:
            errors += user_or_group(value, f"{at}.{name}")
    for i, group in enumerate(context.get("supplementalGroups") or ()):
        errors += user_or_group(group, f"{at}.supplementalGroups[{i}]")
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        why = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.append(invalid_value(f"{at}.shareProcessNamespace", True, why))
    if context.get("sysctls"):
        _sysctls(context["sysctls"], spec, f"{at}.sysctls", errors, host_sysctls=host_sysctls)
    _choice(context, "fsGroupChangePolicy", ("Always", "OnRootMismatch"), at, errors)
    if (profile := context.get("seccompProfile")) is not None:
        _seccomp(profile, f"{at}.seccompProfile", errors)
    if (options := context.get("windowsOptions")) is not None:
        _windows_options(options, f"{at}.windowsOptions", errors)
    if (profile := context.get("appArmorProfile")) is not None:
        errors += app_armor(profile, f"{at}.appArmorProfile")
    _choice(context, "supplementalGroupsPolicy", ("Merge", "Strict"), at, errors)
    _choice(context, "seLinuxChangePolicy", ("MountOption", "Recursive"), at, errors)


def _choice(context: Object, name: str, choices: tuple[str, ...], at: str, errors: Errors) -> None:
    value = context.get(name)
    if value is not None and value not in choices:
        errors.append(not_supported(f"{at}.{name}", value, choices))


def _sysctls(sysctls: list[Object], spec: Object, path: str, errors: Errors, *, host_sysctls: bool) -> None:
    names: set[str] = set()
    for i, sysctl in enumerate(sysctls):
        at, name = f"{path}[{i}].name", sysctl.get("name") or ""
        if not name:
            errors.append(required(at))
        elif len(name) > SYSCTL_LIMIT or not is_sysctl(name):
            why = f"must have at most {SYSCTL_LIMIT} characters and match regex ^{SYSCTL}$"
            errors.append(invalid_value(at, name, why))
        elif name in names:
            errors.append(duplicate(at, name))
        plain = dotted(name)
        if not host_sysctls:
            if spec.get("hostNetwork") and plain.startswith(NET_SYSCTLS):
                errors.append(invalid_value(at, name, "may not be specified when 'hostNetwork' is true"))
            elif spec.get("hostIPC") and plain.startswith(IPC_SYSCTLS):
                errors.append(invalid_value(at, name, "may not be specified when 'hostIPC' is true"))
        names.add(name)


def dotted(name: str) -> str:
    """A sysctl's name with "." between its parts, whichever of "." and "/" comes first in it."""
    first = next((character for character in name if character in "./"), ".")
    return name if first == "." else name.translate({ord("/"): ".", ord("."): "/"})


def shares_sysctls(spec: Object) -> bool:
    """Whether a pod has sysctls of a namespace that it shares with the host."""
    errors: Errors = []
    context = spec.get("securityContext") or {}
    _sysctls(context.get("sysctls") or [], spec, "", errors, host_sysctls=False)
    return any("may not be specified when" in error.message for error in errors)


def validate_host_process(spec: Object, path: str, errors: Errors) -> None:
    """Windows' hostProcess: all containers or none, and on the host's network."""
    own = ((spec.get("securityContext") or {}).get("windowsOptions") or {}).get("hostProcess")
    count = inside = 0
    for container, at in containers(spec, path):
        count += 1
        context = container.get("securityContext")
        given = (context.get("windowsOptions") or {}).get("hostProcess") if context else None
        if own is not None and given is not None and own != given:
            why = f"pod hostProcess value must be identical if both are specified, was {str(own).lower()}"
            errors.append(invalid_value(f"{at}.securityContext.windowsOptions.hostProcess", given, why))
        inside += bool(given or (given is None and own))
    if not inside:
        return
    if inside != count:
        why = "If pod contains any hostProcess containers then all containers must be HostProcess containers"
        errors.append(invalid_value(path, "", why))
    if not spec.get("hostNetwork"):
        why = "hostNetwork must be true if pod contains any hostProcess containers"
        errors.append(invalid_value(f"{path}.hostNetwork", False, why))


def validate_host_users(spec: Object, path: str, errors: Errors, *, devices: bool = False) -> None:
    """A pod with a user namespace of its own shares none with the host. `devices`: raw devices were there before."""
    if spec.get("hostUsers") is not False:
        return
    why = "when `hostUsers` is false"
    for name, shown in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
        if spec.get(name):
            errors.append(forbidden_value(f"{path}.{shown}", why))
    if not devices:
        for container, at in containers(spec, path):
            if container.get("volumeDevices"):
                errors.append(forbidden_value(f"{at}.volumeDevices", why))


def validate_system(spec: Object, path: str, errors: Errors) -> None:
    """spec.os: what the other system's pods have may not be set."""
    name = spec["os"].get("name") or ""
    if not name:
        errors.append(required(f"{path}.os.name"))
    elif name == "linux":
        _linux(spec, path, errors)
    elif name == "windows":
        _windows(spec, path, errors)
    else:
        errors.append(not_supported(f"{path}.os", name, ("linux", "windows")))


def _linux(spec: Object, path: str, errors: Errors) -> None:
    if (spec.get("securityContext") or {}).get("windowsOptions") is not None:
        errors.append(forbidden_value(f"{path}.securityContext.windowsOptions", LINUX))
    for container, at in containers(spec, path):
        if (container.get("securityContext") or {}).get("windowsOptions") is not None:
            errors.append(forbidden_value(f"{at}.securityContext.windowsOptions", LINUX))


# In the order they are complained about: of the pod's spec ("") or of its securityContext.
WINDOWS_POD = (
    ("securityContext.", "appArmorProfile"), ("securityContext.", "seLinuxOptions"), ("", "hostUsers"), ("", "hostPID"),
    ("", "hostIPC"), ("securityContext.", "seccompProfile"), ("securityContext.", "fsGroup"),
    ("securityContext.", "fsGroupChangePolicy"), ("securityContext.", "sysctls"), ("", "shareProcessNamespace"),
    ("securityContext.", "runAsUser"), ("securityContext.", "runAsGroup"), ("securityContext.", "supplementalGroups"),
    ("securityContext.", "supplementalGroupsPolicy"), ("securityContext.", "seLinuxChangePolicy"),
)  # fmt: skip
WINDOWS_CONTAINER = (
    "appArmorProfile", "seLinuxOptions", "seccompProfile", "capabilities", "readOnlyRootFilesystem", "privileged",
    "allowPrivilegeEscalation", "procMount", "runAsUser", "runAsGroup",
)  # fmt: skip


def _windows(spec: Object, path: str, errors: Errors) -> None:
    context = spec.get("securityContext") or {}
    for prefix, name in WINDOWS_POD:
        value = (context if prefix else spec).get(name)
        if value is not None and (value or name not in ("hostPID", "hostIPC", "sysctls")):
            errors.append(forbidden_value(f"{path}.{prefix}{name}", WINDOWS))
    for container, at in containers(spec, path):
        if own := container.get("securityContext"):
            for name in WINDOWS_CONTAINER:
                if own.get(name) is not None:
                    errors.append(forbidden_value(f"{at}.securityContext.{name}", WINDOWS))
