"""What a terminating namespace's conditions say, and when to look again.

Pure. Reasons and messages are Kubernetes' (pkg/controller/namespace/deletion).
"""

from collections.abc import Sequence

from attrs import define, field

from kubrick_api.names import GVR
from kubrick_api.resource import Object

FINALIZER_ESTIMATE = 15

DISCOVERY = "NamespaceDeletionDiscoveryFailure"
PARSING = "NamespaceDeletionGroupVersionParsingFailure"
CONTENT = "NamespaceDeletionContentFailure"
REMAINING = "NamespaceContentRemaining"
FINALIZERS = "NamespaceFinalizersRemaining"

GOOD = {
    DISCOVERY: ("ResourcesDiscovered", "All resources successfully discovered"),
    PARSING: ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
    CONTENT: ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
    REMAINING: ("ContentRemoved", "All content successfully removed"),
    FINALIZERS: ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
}


@define
class Found:
    """What was left of a namespace's content after an attempt to delete it. `estimate` is how long the
    slowest of it may take, in seconds."""

    discovery: list[str] = field(factory=list)
    failures: list[str] = field(factory=list)
    remaining: dict[GVR, int] = field(factory=dict)
    finalizers: dict[str, int] = field(factory=dict)
    estimate: int = 0

    def note(self, resource: GVR, items: Sequence[Object]) -> None:
        """These objects of `resource` are still there."""
        if not items:
            return
        self.remaining[resource] = len(items)
        for item in items:
            metadata = item["metadata"]
            for finalizer in metadata.get("finalizers") or ():
                self.finalizers[finalizer] = self.finalizers.get(finalizer, 0) + 1
            grace: int = metadata.get("deletionGracePeriodSeconds") or 0
            self.estimate = max(self.estimate, grace)
        if self.finalizers:
            self.estimate = max(self.estimate, FINALIZER_ESTIMATE)

    @property
    def empty(self) -> bool:
        return not (self.remaining or self.failures or self.discovery)

    @property
    def again(self) -> float:
        """Seconds until another attempt is worth it, if nothing happens before."""
        return self.estimate // 2 + 1


def conditions(namespace: Object, found: Found, now: str) -> list[Object]:
    """The namespace's conditions after an attempt. One whose status stays keeps its transition time."""
    bad: dict[str, tuple[str, str]] = {}
    if found.discovery:
        bad[DISCOVERY] = ("DiscoveryFailed", _all("Discovery failed for some groups", found.discovery))
    if found.failures:
        bad[CONTENT] = (
            "ContentDeletionFailed",
            _all("Failed to delete all resource types", found.failures),
        )
    if found.remaining:
        parts = [f"{r.resource}.{r.group} has {count} resource instances" for r, count in _sorted(found.remaining)]
        bad[REMAINING] = ("SomeResourcesRemain", f"Some resources are remaining: {', '.join(parts)}")
    if found.finalizers:
        parts = [f"{name} in {count} resource instances" for name, count in sorted(found.finalizers.items())]
        text = f"Some content in the namespace has finalizers remaining: {', '.join(parts)}"
        bad[FINALIZERS] = ("SomeFinalizersRemain", text)
    known = {each["type"]: each for each in namespace.get("status", {}).get("conditions") or ()}
    made = [each for name, each in known.items() if name not in GOOD]
    for name, good in GOOD.items():
        status = "True" if name in bad else "False"
        reason, message = bad.get(name, good)
        before = known.get(name)
        since = before["lastTransitionTime"] if before and before["status"] == status else now
        made.append({"type": name, "status": status, "lastTransitionTime": since, "reason": reason, "message": message})
    return made


def _sorted(remaining: dict[GVR, int]) -> list[tuple[GVR, int]]:
    return sorted(remaining.items(), key=lambda pair: (pair[0].resource, pair[0].group))


def _all(what: str, errors: Sequence[str]) -> str:
    return f"{what}: {', '.join(sorted(errors))}"
