"""What a hollow pod is told to do: annotations on the pod, read into times and exit codes. Pure.

| annotation (all under ``hollow.kubrick.dev/``) | meaning | default |
|---|---|---|
| ``start-after`` | how long a container takes to start | 0s |
| ``ready-after`` | how long after its start it is ready; ``never`` | 0s |
| ``exit-after`` | how long after its start it ends by itself | never (init containers: 0s) |
| ``exit-code`` | what it ends with | 0 |
| ``stop-after`` | how long it takes to end when asked to (killed when the grace is over) | 0s |
| ``image-error`` | the image can't be pulled, with this message | |
| ``start-error`` | the container can't be started, with this message | |
| ``log`` | what `kubectl logs` shows of it, line by line | |

A name with ``.<container>`` behind it speaks of that container only (``exit-code.sidecar``). Durations
are written as Go does: ``500ms``, ``2s``, ``1m30s``.
"""

import math
import re
from typing import Any

from attrs import frozen

Object = dict[str, Any]

PREFIX = "hollow.kubrick.dev/"
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@frozen
class Script:
    """One container's part, in seconds; `exit_after` and `ready_after` may be infinite."""

    start_after: float = 0.0
    ready_after: float = 0.0
    exit_after: float = math.inf
    exit_code: int = 0
    stop_after: float = 0.0
    image_error: str = ""
    start_error: str = ""
    log: str = ""


class BadScript(ValueError):
    """An annotation that can't be read."""


def duration(text: str) -> float:
    """Go's duration text in seconds; "never" is infinite."""
    if text == "never":
        return math.inf
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise BadScript(f'{text!r} is not a duration such as "500ms", "2s" or "1m30s", nor "never"')
    return sum(float(number) * _UNIT[unit] for number, unit in parts)


def read_script(pod: Object, container: str, role: str) -> Script:
    """The script of one container of a pod. Raises `BadScript` naming the annotation."""
    annotations = pod["metadata"].get("annotations") or {}

    def text(name: str, default: str) -> str:
        own: str | None = annotations.get(f"{PREFIX}{name}.{container}")
        return own if own is not None else annotations.get(PREFIX + name, default)

    def seconds(name: str, default: str) -> float:
        value = text(name, default)
        try:
            return duration(value)
        except BadScript as bad:
            raise BadScript(f"annotation {PREFIX}{name}: {bad}") from None

    # What a whole pod is told about ending and failing is meant for its app containers.
    init = role == "init"
    own_exit = f"{PREFIX}exit-after.{container}" in annotations
    code = text("exit-code", "0") if not init or f"{PREFIX}exit-code.{container}" in annotations else "0"
    if not code.isdigit() or int(code) > 255:
        raise BadScript(f"annotation {PREFIX}exit-code: {code!r} is not an exit code from 0 to 255")
    return Script(
        start_after=seconds("start-after", "0s"),
        ready_after=seconds("ready-after", "0s"),
        exit_after=0.0 if init and not own_exit else seconds("exit-after", "never"),
        exit_code=int(code),
        stop_after=seconds("stop-after", "0s"),
        image_error=text("image-error", ""),
        start_error=text("start-error", ""),
        log=text("log", ""),
    )
