"""What a probe's successive answers mean. Pure.

Source: the kubelet's prober worker. A result changes only after as many equal answers in a row as the threshold
says; readiness starts as failed, liveness as passed, startup undecided. Until the startup probe has passed
there is no other; a liveness or startup probe that has failed rests until the container has been restarted.
"""

from typing import Any, Literal

from attrs import define, frozen

Object = dict[str, Any]
Kind = Literal["startup", "liveness", "readiness"]

KINDS: tuple[Kind, ...] = ("startup", "liveness", "readiness")
OUTPUT_LIMIT = 10 * 1024


@frozen
class Answer:
    """What one look found. `passed` is None when the look itself failed (nothing follows from it)."""

    passed: bool | None
    output: str = ""
    warning: bool = False


@frozen
class Probe:
    """A probe as the pod asks for it, defaults filled in. `action` is the handler's part of it. Seconds."""

    kind: Kind
    container: str
    action: Object
    delay: float
    period: float
    timeout: float
    successes: int
    failures: int
    grace: float | None


def probes_of(container: Object) -> list[Probe]:
    found = []
    for kind in KINDS:
        spec = container.get(f"{kind}Probe")
        if spec:
            found.append(
                Probe(
                    kind,
                    container["name"],
                    spec,
                    float(spec.get("initialDelaySeconds") or 0),
                    float(spec.get("periodSeconds") or 10),
                    float(spec.get("timeoutSeconds") or 1),
                    spec.get("successThreshold") or 1,
                    spec.get("failureThreshold") or 3,
                    spec.get("terminationGracePeriodSeconds"),
                )
            )
    return found


@define
class Verdict:
    """The state of one probe of one running container. `result` is None while undecided (startup)."""

    probe: Probe
    result: bool | None
    _streak: int = 0
    _last: bool | None = None

    @classmethod
    def initial(cls, probe: Probe) -> "Verdict":
        return cls(probe, {"startup": None, "liveness": True, "readiness": False}[probe.kind])

    @property
    def resting(self) -> bool:
        """Nothing more to find out about this container."""
        if self.probe.kind == "startup":
            return self.result is not None
        return self.probe.kind == "liveness" and self.result is False

    def hear(self, answer: Answer) -> bool:
        """Take one answer; True when the result changed."""
        if answer.passed is None:
            return False
        if answer.passed == self._last:
            self._streak += 1
        else:
            self._last, self._streak = answer.passed, 1
        needed = self.probe.successes if answer.passed else self.probe.failures
        if self._streak < needed or self.result == answer.passed:
            return False
        self.result = answer.passed
        return True


def event(kind: Kind, answer: Answer) -> tuple[str, str, str] | None:
    """The event an answer is worth: (type, reason, message)."""
    title = kind.capitalize()
    if answer.passed is None:
        return "Warning", "Unhealthy", f"{title} probe errored and resulted in unknown state: {answer.output}"
    if not answer.passed:
        return "Warning", "Unhealthy", f"{title} probe failed: {answer.output}"
    if answer.warning:
        return "Warning", "ProbeWarning", f"{title} probe warning: {answer.output}"
    return None
