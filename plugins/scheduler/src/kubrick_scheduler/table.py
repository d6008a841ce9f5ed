"""The NodeTable: all nodes and what runs on them, as numpy columns, kept up to date event by event.

A row is a node; rows of deleted nodes are reused. Filters and scorers read whole columns, so one attempt
costs a few dozen vector operations however many nodes there are. Pods that were assigned but not yet
confirmed by the API ("assumed") count like any other. Every change of a row is logged under a growing
generation, so that a plugin may keep an answer and redo only the rows that changed (`changed_since`,
`kubrick_scheduler.memo`).

Pods on a node nobody has seen yet, or whose node is gone, are kept aside and count once it (re)appears.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kubrick_scheduler.columns import EncodedColumn, grown
from kubrick_scheduler.pod import HostPort, PodInfo, Taint
from kubrick_scheduler.requests import CPU, NATIVE, amounts

Object = dict[str, Any]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
RowArray = NDArray[np.intp]

INITIAL_CAPACITY = 64
LOG_LIMIT = 16_384
POD_COLUMN = NATIVE.index("pods")
NO_TAINTS: tuple[Taint, ...] = ()


class NodeTable:
    """See the module. Arrays handed out are views: read them, don't keep them past the attempt, and never
    write to them. Only the scheduler itself calls the methods that change the table."""

    def __init__(self) -> None:
        self._capacity = INITIAL_CAPACITY
        self._size = 0
        self._rows: dict[str, int] = {}
        self._free_rows: list[int] = []
        self._names: list[str] = []
        self._objects: list[Object | None] = []
        self._pods: list[dict[str, PodInfo]] = []
        self._homeless: dict[str, dict[str, PodInfo]] = {}
        self._homes: dict[str, str] = {}
        self._assumed: set[str] = set()
        self._resources: dict[str, int] = {name: i for i, name in enumerate(NATIVE)}
        self._valid: BoolArray = np.zeros(self._capacity, np.bool_)
        self._allocatable: IntArray = np.zeros((len(NATIVE), self._capacity), np.int64)
        self._requested: IntArray = np.zeros((len(NATIVE), self._capacity), np.int64)
        self._scoring: IntArray = np.zeros((2, self._capacity), np.int64)
        self._unschedulable: BoolArray = np.zeros(self._capacity, np.bool_)
        self._taints: EncodedColumn[tuple[Taint, ...]] = EncodedColumn(NO_TAINTS, self._capacity)
        self._labels: dict[str, EncodedColumn[str | None]] = {}
        self._ports: dict[tuple[str, int], dict[int, dict[str, int]]] = {}
        self._images: dict[str, dict[int, int]] = {}
        self.image_version = 0
        """Changes whenever an image appears on or leaves a node, or the number of nodes changes."""
        self._unschedulable_count = 0
        self._tainted_count = 0
        self._log: list[int] = []
        self._log_start = 0
        self._nothing: IntArray = np.zeros(self._capacity, np.int64)

    # Reading

    def __len__(self) -> int:
        """How many nodes there are."""
        return len(self._rows)

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    @property
    def size(self) -> int:
        """The length of every column: rows in use, free ones among them included."""
        return self._size

    @property
    def valid(self) -> BoolArray:
        """Which rows are nodes."""
        return self._valid[: self._size]

    def row(self, name: str) -> int:
        """A node's row; -1 when there is no such node."""
        return self._rows.get(name, -1)

    def name(self, row: int) -> str:
        return self._names[row]

    def node(self, row: int) -> Object:
        """The Node object. Shared: never change it."""
        node = self._objects[row]
        if node is None:
            raise IndexError(f"row {row} holds no node")
        return node

    def pods(self, row: int) -> Mapping[str, PodInfo]:
        """The pods on a node, by key, assumed ones included."""
        return self._pods[row]

    def pod_count(self) -> int:
        return len(self._homes)

    def allocatable(self, resource: str) -> IntArray:
        """What each node has to give (cpu in millicores)."""
        column = self._resources.get(resource)
        found: IntArray = self._nothing if column is None else self._allocatable[column]
        return found[: self._size]

    def requested(self, resource: str) -> IntArray:
        """What the pods on each node have asked for; of "pods": how many there are."""
        column = self._resources.get(resource)
        found: IntArray = self._nothing if column is None else self._requested[column]
        return found[: self._size]

    def scoring_requested(self, resource: str) -> IntArray:
        """As `requested`, with 100m and 200Mi for containers that ask for nothing; cpu and memory only."""
        found: IntArray = self._scoring[0 if resource == CPU else 1]
        return found[: self._size]

    @property
    def unschedulable(self) -> BoolArray:
        """Which nodes are cordoned."""
        return self._unschedulable[: self._size]

    @property
    def any_unschedulable(self) -> bool:
        return self._unschedulable_count > 0

    @property
    def any_tainted(self) -> bool:
        return self._tainted_count > 0

    @property
    def taints(self) -> EncodedColumn[tuple[Taint, ...]]:
        """Each node's taints, dictionary-encoded: judge each of ``taints.dictionary.values`` once, then look
        the answers up by ``taint_numbers``."""
        return self._taints

    @property
    def taint_numbers(self) -> NDArray[np.int32]:
        return self._taints.numbers[: self._size]

    def label(self, key: str) -> EncodedColumn[str | None]:
        """A label's values, dictionary-encoded (0: the node hasn't got it). The column is made when a label
        is first asked for, and kept up to date from then on."""
        column = self._labels.get(key)
        if column is None:
            column = self._labels[key] = EncodedColumn(None, self._capacity)
            for row in self._rows.values():
                column.put(row, _labels(self._objects[row]).get(key))
        return column

    def label_numbers(self, key: str) -> NDArray[np.int32]:
        return self.label(key).numbers[: self._size]

    def has_label(self, key: str, value: str) -> BoolArray:
        """Which nodes have this label with this value."""
        number = self.label(key).dictionary.number(value)
        if number < 0:
            return np.zeros(self._size, np.bool_)
        mask: BoolArray = self.label_numbers(key) == number
        return mask

    def port_users(self, protocol: str, port: int) -> Mapping[int, Mapping[str, int]]:
        """Row → address → how many pods hold this host port there."""
        return self._ports.get((protocol, port), {})

    def image_sizes(self, image: str) -> Mapping[int, int]:
        """Row → size in bytes, for nodes that have the image (by the name the node reports)."""
        return self._images.get(image, {})

    @property
    def generation(self) -> int:
        """Grows with every change of a row."""
        return self._log_start + len(self._log)

    def changed_since(self, generation: int) -> list[int] | None:
        """The rows that changed since `generation` (with repeats), or None when that is too long ago: then
        treat all as changed."""
        if generation < self._log_start:
            return None
        return self._log[generation - self._log_start :]

    # Nodes

    def put_node(self, node: Object) -> None:
        """Add a node, or bring it up to date."""
        name = node["metadata"]["name"]
        row = self._rows.get(name)
        if row is None:
            self.image_version += 1
            row = self._take_row(name)
            self._fill(row, None, node)
            for pod in self._homeless.pop(name, {}).values():
                self._settle(row, pod)
        else:
            self._fill(row, self._objects[row], node)
        self._objects[row] = node
        self._note(row)

    def remove_node(self, name: str) -> None:
        row = self._rows.pop(name, None)
        if row is None:
            return
        if self._pods[row]:
            self._homeless[name] = self._pods[row]
            for pod in self._pods[row].values():
                self._hold_ports(row, pod.ports, -1)
        self._set_images(row, self._objects[row], {})
        self.image_version += 1
        self._unschedulable_count -= int(self._unschedulable[row])
        self._tainted_count -= int(self._taints.numbers[row] != 0)
        self._valid[row] = self._unschedulable[row] = False
        self._allocatable[:, row] = self._requested[:, row] = self._scoring[:, row] = 0
        self._taints.clear(row)
        for column in self._labels.values():
            column.clear(row)
        self._names[row] = ""
        self._objects[row] = None
        self._pods[row] = {}
        self._free_rows.append(row)
        self._note(row)

    # Pods

    def put_pod(self, pod: PodInfo) -> None:
        """The API says that a pod is on `pod.node_name`: add it, or confirm it if it was assumed there."""
        self._assumed.discard(pod.key)
        self._place(pod, pod.node_name)

    def assume(self, pod: PodInfo, node: str) -> None:
        """Count a pod on a node before the API has confirmed it."""
        self._assumed.add(pod.key)
        self._place(pod, node)

    def forget(self, key: str) -> None:
        """Take back an assumption. Does nothing once the API has confirmed the pod."""
        if key in self._assumed:
            self.remove_pod(key)

    def home(self, key: str) -> str:
        """The node a pod is counted on, or ""."""
        return self._homes.get(key, "")

    def remove_pod(self, key: str) -> None:
        self._assumed.discard(key)
        home = self._homes.pop(key, None)
        if home is None:
            return
        row = self._rows.get(home)
        if row is not None:
            self._count(row, self._pods[row].pop(key), -1)
            self._note(row)
            return
        pods = self._homeless[home]
        del pods[key]
        if not pods:
            del self._homeless[home]

    def _place(self, pod: PodInfo, node: str) -> None:
        home = self._homes.get(pod.key)
        row = self._rows.get(node)
        if home == node and row is not None:
            known = self._pods[row][pod.key]
            self._pods[row][pod.key] = pod
            if not _weighs_the_same(known, pod):
                self._count(row, known, -1)
                self._count(row, pod, 1)
            self._note(row)
            return
        if home is not None:
            assumed = pod.key in self._assumed
            self.remove_pod(pod.key)
            if assumed:
                self._assumed.add(pod.key)
        self._homes[pod.key] = node
        if row is None:
            self._homeless.setdefault(node, {})[pod.key] = pod
        else:
            self._settle(row, pod)
            self._note(row)

    def _settle(self, row: int, pod: PodInfo) -> None:
        self._pods[row][pod.key] = pod
        self._count(row, pod, 1)

    def _count(self, row: int, pod: PodInfo, sign: int) -> None:
        requested = self._requested
        resources = self._resources
        for name, quantity in pod.requests.items():
            column = resources.get(name)
            if column is None:
                column = self._add_resource(name)
                requested = self._requested
            if column != POD_COLUMN:
                requested[column, row] += sign * quantity
        requested[POD_COLUMN, row] += sign
        cpu, memory = pod.scoring_requests
        self._scoring[0, row] += sign * cpu
        self._scoring[1, row] += sign * memory
        if pod.ports:
            self._hold_ports(row, pod.ports, sign)

    def _hold_ports(self, row: int, ports: tuple[HostPort, ...], sign: int) -> None:
        for port in ports:
            key = (port.protocol, port.port)
            users = self._ports.setdefault(key, {})
            addresses = users.setdefault(row, {})
            count = addresses.get(port.ip, 0) + sign
            if count > 0:
                addresses[port.ip] = count
                continue
            del addresses[port.ip]
            if not addresses:
                del users[row]
            if not users:
                del self._ports[key]

    # Rows

    def _take_row(self, name: str) -> int:
        if self._free_rows:
            row = self._free_rows.pop()
            self._names[row] = name
        else:
            row = self._size
            if row == self._capacity:
                self._grow(2 * self._capacity)
            self._size += 1
            self._names.append(name)
            self._objects.append(None)
            self._pods.append({})
        self._rows[name] = row
        self._valid[row] = True
        return row

    def _fill(self, row: int, old: Object | None, node: Object) -> None:
        """Write a node's own columns; `old` is what they hold now."""
        spec, status = node.get("spec") or {}, node.get("status") or {}
        self._allocatable[:, row] = 0
        for name, quantity in amounts(status.get("allocatable")).items():
            column = self._resources.get(name)
            if column is None:
                column = self._add_resource(name)
            self._allocatable[column, row] = quantity
        unschedulable = bool(spec.get("unschedulable"))
        self._unschedulable_count += unschedulable - int(self._unschedulable[row])
        self._unschedulable[row] = unschedulable
        taints = tuple(Taint.of(taint) for taint in spec.get("taints") or ())
        self._tainted_count += int(bool(taints)) - int(self._taints.numbers[row] != 0)
        self._taints.put(row, taints)
        labels = _labels(node)
        for key, encoded in self._labels.items():
            encoded.put(row, labels.get(key))
        self._set_images(row, old, _images(node))

    def _set_images(self, row: int, old: Object | None, images: dict[str, int]) -> None:
        before = _images(old)
        if before == images:
            return
        self.image_version += 1
        for name in before:
            if name not in images:
                sizes = self._images[name]
                del sizes[row]
                if not sizes:
                    del self._images[name]
        for name, size in images.items():
            self._images.setdefault(name, {})[row] = size

    def _add_resource(self, name: str) -> int:
        column = self._resources[name] = len(self._resources)
        empty = np.zeros((1, self._capacity), np.int64)
        self._allocatable = np.concatenate([self._allocatable, empty])
        self._requested = np.concatenate([self._requested, empty])
        return column

    def _grow(self, capacity: int) -> None:
        self._capacity = capacity
        self._valid = grown(self._valid, capacity)
        self._allocatable = grown(self._allocatable, capacity)
        self._requested = grown(self._requested, capacity)
        self._scoring = grown(self._scoring, capacity)
        self._unschedulable = grown(self._unschedulable, capacity)
        self._nothing = grown(self._nothing, capacity)
        self._taints.grow(capacity)
        for column in self._labels.values():
            column.grow(capacity)

    def _note(self, row: int) -> None:
        self._log.append(row)
        if len(self._log) > LOG_LIMIT:
            half = LOG_LIMIT // 2
            self._log_start += half
            del self._log[:half]


def _labels(node: Object | None) -> dict[str, str]:
    return (node["metadata"].get("labels") or {}) if node else {}


def _images(node: Object | None) -> dict[str, int]:
    """Image name → size, of every name of every image a node reports."""
    if node is None:
        return {}
    images = (node.get("status") or {}).get("images") or ()
    return {name: image.get("sizeBytes", 0) for image in images for name in image.get("names") or ()}


def _weighs_the_same(one: PodInfo, other: PodInfo) -> bool:
    return (
        one.requests == other.requests and one.scoring_requests == other.scoring_requests and one.ports == other.ports
    )


__all__ = ["BoolArray", "IntArray", "NodeTable", "RowArray"]
