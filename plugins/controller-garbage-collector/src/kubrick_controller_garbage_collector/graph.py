"""Who owns whom: the graph of owner references between everything the cluster has.

Pure. `observe` and `remove` take what informers say and answer with the objects to look at again. An
owner that was never seen has no node: whoever refers to it is looked at, and then the API is asked
whether that owner exists. Nothing here decides to delete; it only says what is worth deciding about.
"""

from attrs import define, field, frozen

from kubrick_api.names import GVR
from kubrick_api.resource import Object

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"


@frozen
class Owner:
    """One owner reference."""

    uid: str
    api_version: str
    kind: str
    name: str
    blocks: bool = False

    @classmethod
    def of(cls, reference: Object) -> "Owner":
        return cls(
            reference["uid"],
            reference["apiVersion"],
            reference["kind"],
            reference["name"],
            bool(reference.get("blockOwnerDeletion")),
        )


@frozen
class Node:
    """One object. `orphaning` and `foreground` say how its deletion, once begun, treats its dependents."""

    uid: str
    resource: GVR
    api_version: str
    kind: str
    namespace: str
    name: str
    owners: tuple[Owner, ...] = ()
    deleting: bool = False
    orphaning: bool = False
    foreground: bool = False

    @classmethod
    def of(cls, resource: GVR, obj: Object) -> "Node":
        metadata = obj["metadata"]
        deleting = "deletionTimestamp" in metadata
        finalizers = metadata.get("finalizers") or () if deleting else ()
        return cls(
            metadata["uid"],
            resource,
            obj["apiVersion"],
            obj["kind"],
            metadata.get("namespace", ""),
            metadata["name"],
            tuple(Owner.of(reference) for reference in metadata.get("ownerReferences") or ()),
            deleting,
            ORPHAN in finalizers,
            FOREGROUND in finalizers,
        )

    def refers_to(self, other: "Node") -> Owner | None:
        """The owner reference that names `other`'s uid."""
        for owner in self.owners:
            if owner.uid == other.uid:
                return owner
        return None


def is_true(child: Node, owner: Owner, found: Node) -> bool:
    """Whether a reference describes the object that has its uid: same kind and name, and within reach
    (an owner is in the child's namespace or in none)."""
    group = found.api_version.rpartition("/")[0]
    return (
        owner.kind == found.kind
        and owner.name == found.name
        and owner.api_version.rpartition("/")[0] == group
        and found.namespace in ("", child.namespace)
    )


@define
class Work:
    """What to look at: uids that may have to be deleted, uids whose dependents must be orphaned, and
    references that reach into another namespace, to be complained about."""

    look: list[str] = field(factory=list)
    orphan: list[str] = field(factory=list)
    out_of_reach: list[tuple[Node, Owner]] = field(factory=list)


class Graph:
    """All nodes by uid, and for each uid referred to, by whom."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self._dependents: dict[str, dict[str, None]] = {}

    def dependents(self, uid: str) -> list[Node]:
        """The objects that refer to `uid`, in the order they were first seen doing so."""
        return [self.nodes[child] for child in self._dependents.get(uid, ())]

    def observe(self, node: Node) -> Work:
        """An object was added or changed."""
        work = Work()
        before = self.nodes.get(node.uid)
        self.nodes[node.uid] = node
        old_owners = before.owners if before is not None else ()
        if old_owners != node.owners:
            self._refer(node, old_owners, work)
        if before is None:
            for child in self.dependents(node.uid):
                self._doubt(child, node, work)
        if node.orphaning and not (before and before.orphaning):
            work.orphan.append(node.uid)
        if node.foreground and not (before and before.foreground):
            work.look.append(node.uid)
            work.look += self._dependents.get(node.uid, ())
        return work

    def remove(self, uid: str) -> Work:
        """An object is gone: its dependents may be garbage, and an owner that waits for it may be free."""
        work = Work()
        node = self.nodes.pop(uid, None)
        if node is None:
            return work
        for owner in node.owners:
            self._forget(owner.uid, uid)
            self._wake(owner.uid, work)
        work.look += self._dependents.get(uid, ())
        return work

    def _refer(self, node: Node, old_owners: tuple[Owner, ...], work: Work) -> None:
        kept = {owner.uid for owner in node.owners}
        for owner in old_owners:
            if owner.uid not in kept:
                self._forget(owner.uid, node.uid)
            self._wake(owner.uid, work)  # it may block its owner's deletion no longer
        known = {owner.uid for owner in old_owners}
        for owner in node.owners:
            self._dependents.setdefault(owner.uid, {})[node.uid] = None
            found = self.nodes.get(owner.uid)
            if found is not None:
                self._doubt(node, found, work)
                if found.foreground:
                    work.look.append(node.uid)
            elif owner.uid not in known:
                work.look.append(node.uid)

    def _doubt(self, child: Node, found: Node, work: Work) -> None:
        """A reference that does not describe the object with its uid is checked against the API."""
        owner = child.refers_to(found)
        if owner is None or is_true(child, owner, found):
            return
        work.look.append(child.uid)
        if found.namespace not in ("", child.namespace):
            work.out_of_reach.append((child, owner))

    def _wake(self, uid: str, work: Work) -> None:
        node = self.nodes.get(uid)
        if node is not None and node.foreground:
            work.look.append(uid)

    def _forget(self, owner: str, child: str) -> None:
        children = self._dependents.get(owner)
        if children is not None:
            children.pop(child, None)
            if not children:
                del self._dependents[owner]
