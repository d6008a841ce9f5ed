"""A ReplicaSet as a plan sees and changes it: the numbers that matter, and the changes gathered on top."""

from typing import Any

from attrs import define, field

Object = dict[str, Any]

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"
HISTORY_LIMIT = 2000
NOT_COPIED = {
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MAXIMUM,
    "deprecated.deployment.rollback.to",
}


@define(eq=False)
class Draft:
    """One ReplicaSet under planning. `obj` is shared and never changed; `fresh` means it is still to be
    created, with `obj` as its body. `scaled` are the size changes to report: (from, to)."""

    obj: Object
    replicas: int
    annotations: dict[str, str]
    min_ready_seconds: int
    fresh: bool = False
    changed: bool = False
    scaled: list[tuple[int, int]] = field(factory=list)

    @classmethod
    def of(cls, replica_set: Object) -> "Draft":
        spec = replica_set["spec"]
        annotations = {**(replica_set["metadata"].get("annotations") or {})}
        return cls(replica_set, spec.get("replicas", 1), annotations, spec.get("minReadySeconds", 0))

    @property
    def name(self) -> str:
        name: str = self.obj["metadata"]["name"]
        return name

    @property
    def created(self) -> tuple[str, str]:
        """Sorts by age. A fresh one is the newest."""
        return self.obj["metadata"].get("creationTimestamp", "9"), self.name

    @property
    def leaving(self) -> bool:
        return "deletionTimestamp" in self.obj["metadata"]

    def status(self, count: str) -> int:
        """A number of its status; 0 when missing."""
        value: int = self.obj.get("status", {}).get(count, 0)
        return value

    @property
    def behind(self) -> bool:
        """Whether its status is from before its last change of size."""
        generation: int = self.obj["metadata"].get("generation", 0)
        return generation > self.status("observedGeneration")

    @property
    def available(self) -> int:
        return self.status("availableReplicas")

    def number(self, annotation: str) -> int | None:
        """An annotation as a number; None when it is missing or is none."""
        try:
            return int(self.annotations[annotation])
        except (KeyError, ValueError):
            return None

    @property
    def revision(self) -> int:
        return self.number(REVISION) or 0

    def annotate(self, values: dict[str, str]) -> None:
        for key, value in values.items():
            if self.annotations.get(key) != value:
                self.annotations[key] = value
                self.changed = True

    def resize(self, size: int, desired: int, maximum: int) -> bool:
        """Give it `size` pods and note the Deployment's bounds on it. Whether the size changed."""
        before = self.replicas
        self.annotate({DESIRED: str(desired), MAXIMUM: str(maximum)})
        if size == before:
            return False
        self.replicas = size
        self.changed = True
        self.scaled.append((before, size))
        return True

    def advance(self, deployment: Object, revision: int) -> None:
        """Copy the Deployment's annotations and make this its revision `revision`, remembering the
        revision it was before (which happens on a rollback)."""
        given = deployment["metadata"].get("annotations") or {}
        self.annotate({key: value for key, value in given.items() if key not in NOT_COPIED})
        text = self.annotations.get(REVISION, "")
        if text and self.number(REVISION) is None:
            return  # not ours to repair
        before = self.revision
        if before >= revision:
            return
        self.annotate({REVISION: str(revision)})
        if text:
            self.annotate({HISTORY: remember(self.annotations.get(HISTORY, ""), text)})

    def body(self) -> Object:
        """The object to send."""
        metadata = {**self.obj["metadata"], "annotations": self.annotations}
        spec = {**self.obj["spec"], "replicas": self.replicas}
        if self.min_ready_seconds or "minReadySeconds" in spec:
            spec["minReadySeconds"] = self.min_ready_seconds
        return {**self.obj, "metadata": metadata, "spec": spec}


def remember(history: str, revision: str) -> str:
    """`history` with `revision` at its end, the oldest dropped so that it stays below the limit."""
    revisions = [each for each in history.split(",") if each]
    revisions.append(revision)
    while len(",".join(revisions)) > HISTORY_LIMIT:
        del revisions[0]
    return ",".join(revisions)


def template_without_hash(template: Object) -> Object:
    """A pod template without the label this controller adds, for comparison; empty metadata left out."""
    metadata = template.get("metadata") or {}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH_LABEL}
    kept = {key: value for key, value in {**metadata, "labels": labels}.items() if value}
    return {**template, "metadata": kept}


def same_template(deployment: Object, replica_set: Object) -> bool:
    """Whether the ReplicaSet was made from the Deployment's present template."""
    ours, theirs = deployment["spec"]["template"], replica_set["spec"]["template"]
    if ours.get("spec") != theirs.get("spec"):
        return False
    return template_without_hash(ours) == template_without_hash(theirs)
