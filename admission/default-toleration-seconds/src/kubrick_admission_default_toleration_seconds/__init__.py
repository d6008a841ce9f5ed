"""A pod stays on a node that is not ready or unreachable for five minutes, unless it says otherwise.

Source: plugin/pkg/admission/defaulttolerationseconds.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attrs import frozen

from kubrick_kernel.hookspecs import hookimpl

if TYPE_CHECKING:
    from kubrick_apiserver.admission import AdmissionPlugin, Attributes
    from kubrick_kernel import Kernel

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"


@frozen
class Settings:
    """``[plugins.admission-default-toleration-seconds]``: how long, in seconds."""

    not_ready_seconds: int = 300
    unreachable_seconds: int = 300


class DefaultTolerationSeconds:
    name = "DefaultTolerationSeconds"
    order = 70
    exact = True
    borrows = True

    def __init__(self, settings: Settings) -> None:
        self._seconds = {NOT_READY: settings.not_ready_seconds, UNREACHABLE: settings.unreachable_seconds}

    def handles(self, attributes: "Attributes") -> bool:
        resource = attributes.resource
        return (
            resource.resource == "pods"
            and not resource.group
            and not attributes.subresource
            and attributes.operation in ("CREATE", "UPDATE")
        )

    async def admit(self, attributes: "Attributes") -> None:
        assert attributes.object is not None
        tolerations = attributes.object.setdefault("spec", {}).get("tolerations") or []
        missing = [
            {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
            for key, seconds in self._seconds.items()
            if not any(_tolerates(toleration, key) for toleration in tolerations)
        ]
        if missing:
            attributes.own("spec")["tolerations"] = [*tolerations, *missing]


def _tolerates(toleration: dict[str, Any], key: str) -> bool:
    return toleration.get("key", "") in ("", key) and toleration.get("effect", "") in ("", "NoExecute")


@hookimpl
def kubrick_register_settings() -> type:
    return Settings


@hookimpl
def kubrick_register_admission(kernel: "Kernel") -> "Sequence[AdmissionPlugin]":
    return (DefaultTolerationSeconds(kernel.settings("admission-default-toleration-seconds")),)
