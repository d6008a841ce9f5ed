"""What can be wrong with probes and with what runs when a container starts or stops.

Paths and wording are those of pkg/apis/core/validation (validateHandler, validateProbe, validateLifecycle).
"""

from collections.abc import Callable

from kubrick_api.errors import FieldError, forbidden_value, invalid_value, not_supported, required
from kubrick_api.resource import Object
from kubrick_api_core.resource_validation import NOT_NEGATIVE
from kubrick_api_core.rules import HEADER, is_header_name, port_in_range, port_number_or_name

Errors = list[FieldError]

PROBE_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
LIFECYCLE_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")
COUNTS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
ONCE = "must be 1"
REAL_TIME = ("RTMIN", *(f"RTMIN+{n}" for n in range(1, 16)), *(f"RTMAX-{n}" for n in range(14, 0, -1)), "RTMAX")
SIGNALS = {
    "linux": tuple(
        sorted(
            f"SIG{name}"
            for name in (
                "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
                "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP",
                "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", *REAL_TIME,
            )
        )
    ),
    "windows": ("SIGKILL", "SIGTERM"),
}  # fmt: skip


def validate_probe(probe: Object, path: str, errors: Errors, *, once: bool) -> None:
    """A probe; `once`: it must succeed at the first success (liveness, startup). Readiness probes set no grace."""
    validate_handler(probe, PROBE_HANDLERS, None, path, errors)
    for name in COUNTS:
        if (probe.get(name) or 0) < 0:
            errors.append(invalid_value(f"{path}.{name}", probe[name], NOT_NEGATIVE))
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        errors.append(invalid_value(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than 0"))
    if once:
        if probe.get("successThreshold") != 1:
            errors.append(invalid_value(f"{path}.successThreshold", probe.get("successThreshold") or 0, ONCE))
    elif grace is not None:
        why = "must not be set for readinessProbes"
        errors.append(invalid_value(f"{path}.terminationGracePeriodSeconds", grace, why))


def validate_lifecycle(lifecycle: Object, grace: int | None, system: Object | None, path: str, errors: Errors) -> None:
    """`grace` is the pod's terminationGracePeriodSeconds, `system` its os."""
    for hook in ("postStart", "preStop"):
        if (handler := lifecycle.get(hook)) is not None:
            validate_handler(handler, LIFECYCLE_HANDLERS, grace, f"{path}.{hook}", errors)
    if (signal := lifecycle.get("stopSignal")) is None:
        return
    at = f"{path}.stopSignal"
    if system is None:
        errors.append(forbidden_value(at, "may not be set for containers with empty `spec.os.name`"))
    elif signal not in (known := SIGNALS.get(system.get("name") or "", (signal,))):
        errors.append(not_supported(at, signal, known))


def validate_handler(handler: Object, kinds: tuple[str, ...], grace: int | None, path: str, errors: Errors) -> None:
    found = False
    for kind in kinds:
        action = handler.get(kind)
        if action is None:
            continue
        if found:
            errors.append(forbidden_value(f"{path}.{kind}", "may not specify more than 1 handler type"))
            continue
        found = True
        if kind == "sleep":
            _sleep(action, grace, f"{path}.{kind}", errors)
        else:
            HANDLERS[kind](action, f"{path}.{kind}", errors)
    if not found:
        errors.append(required(path, "must specify a handler type"))


def _exec(action: Object, path: str, errors: Errors) -> None:
    if not action.get("command"):
        errors.append(required(f"{path}.command"))


def _http(action: Object, path: str, errors: Errors) -> None:
    if not action.get("path"):
        errors.append(required(f"{path}.path"))
    errors += port_number_or_name(action.get("port"), f"{path}.port")
    scheme = action.get("scheme") or ""
    if scheme not in ("HTTP", "HTTPS"):
        errors.append(not_supported(f"{path}.scheme", scheme, ("HTTP", "HTTPS")))
    for header in action.get("httpHeaders") or ():
        if not is_header_name(name := header.get("name") or ""):
            errors.append(invalid_value(f"{path}.httpHeaders", name, HEADER))


def _socket(action: Object, path: str, errors: Errors) -> None:
    errors += port_number_or_name(action.get("port"), f"{path}.port")


def _grpc(action: Object, path: str, errors: Errors) -> None:
    errors += port_in_range(action.get("port") or 0, f"{path}.port")


def _sleep(action: Object, grace: int | None, path: str, errors: Errors) -> None:
    seconds = action.get("seconds") or 0
    if grace is not None and not 0 <= seconds <= grace:
        why = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
        errors.append(invalid_value(path, seconds, why))


HANDLERS: dict[str, Callable[[Object, str, Errors], None]] = {
    "exec": _exec,
    "httpGet": _http,
    "tcpSocket": _socket,
    "grpc": _grpc,
}
