"""For authors of scheduler plugins: a table in one line, and a check that a plugin keeps the contract.

    table = make_table([node("a", cpu="4"), node("b", labels={"disk": "ssd"})], [pod("web", on="a")])
    check_plugin(MyPlugin(), table, [pod("new", cpu="1")])

`kubrick_scheduler.testing.strategies` makes random clusters for Hypothesis.
"""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from kubrick_scheduler.contract import MAX_NODE_SCORE, SKIP, Refusal
from kubrick_scheduler.pod import PodInfo
from kubrick_scheduler.table import NodeTable

Object = dict[str, Any]


def node(
    name: str = "node-1",
    *,
    labels: dict[str, str] | None = None,
    taints: Sequence[Object] = (),
    unschedulable: bool = False,
    images: dict[str, int] | None = None,
    **allocatable: str,
) -> Object:
    """A Node. `allocatable` replaces or adds to 4 cpus, 32Gi and 110 pods (ephemeral_storage and
    example.com_gpu are spelled with underscores; `images` are name → size)."""
    given = {_spelled(key): value for key, value in allocatable.items()}
    made: Object = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
        "spec": {},
        "status": {"allocatable": {"cpu": "4", "memory": "32Gi", "pods": "110", **given}},
    }
    if taints:
        made["spec"]["taints"] = [*taints]
    if unschedulable:
        made["spec"]["unschedulable"] = True
    if images:
        made["status"]["images"] = [{"names": [name], "sizeBytes": size} for name, size in images.items()]
    return made


def pod(
    name: str = "web",
    *,
    on: str = "",
    labels: dict[str, str] | None = None,
    image: str = "nginx",
    ports: Sequence[Object] = (),
    requests: dict[str, str] | None = None,
    cpu: str = "",
    memory: str = "",
    **spec: Any,
) -> Object:
    """A Pod of one container, in namespace default; `on` binds it to a node."""
    asked = {**(requests or {}), **({"cpu": cpu} if cpu else {}), **({"memory": memory} if memory else {})}
    container: Object = {"name": "c", "image": image}
    if asked:
        container["resources"] = {"requests": asked}
    if ports:
        container["ports"] = [*ports]
    made: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-of-{name}"},
        "spec": {"containers": [container], **spec},
    }
    if labels:
        made["metadata"]["labels"] = labels
    if on:
        made["spec"]["nodeName"] = on
    return made


def _spelled(key: str) -> str:
    return "ephemeral-storage" if key == "ephemeral_storage" else key.replace("_", "/", 1)


def make_table(nodes: Iterable[Object] = (), pods: Iterable[Object] = ()) -> NodeTable:
    """A table with these nodes, and these pods on the nodes they name."""
    table = NodeTable()
    for one in nodes:
        table.put_node(one)
    for one in pods:
        table.put_pod(PodInfo(one))
    return table


def feasible(plugin: Any, pod: Object, table: NodeTable) -> dict[str, bool]:
    """What a filter (with its `pre_filter`) says of each node, by name."""
    info = PodInfo(pod)
    before = plugin.pre_filter(info, table) if hasattr(plugin, "pre_filter") else None
    if before is SKIP:
        return dict.fromkeys(table, True)
    if isinstance(before, Refusal):
        return dict.fromkeys(table, False)
    mask = plugin.filter(info, table)
    return {n: bool(mask[table.row(n)]) and (before is None or n in before) for n in table}


def reasons(plugin: Any, pod: Object, table: NodeTable) -> dict[str, list[str]]:
    """The reasons a filter gives for each node it refuses."""
    info = PodInfo(pod)
    if hasattr(plugin, "pre_filter"):
        plugin.pre_filter(info, table)
    rows = np.flatnonzero(table.valid & ~plugin.filter(info, table))
    found: dict[str, list[str]] = {table.name(row): [] for row in rows.tolist()}
    for refusal in plugin.explain(info, table, rows) if len(rows) else ():
        for row in rows.tolist() if refusal.rows is None else refusal.rows.tolist():
            found[table.name(row)].append(refusal.reason)
    return found


def scores(plugin: Any, pod: Object, table: NodeTable, among: Iterable[str] | None = None) -> dict[str, int] | None:
    """What a scorer gives each node of `among` (all of them, if not given); None when it skips the pod."""
    info = PodInfo(pod)
    names = [*table] if among is None else [*among]
    rows = np.array(sorted(table.row(name) for name in names), np.intp)
    if hasattr(plugin, "pre_filter"):
        plugin.pre_filter(info, table)
    if hasattr(plugin, "pre_score") and plugin.pre_score(info, table, rows) is SKIP:
        return None
    found = plugin.score(info, table)
    if isinstance(found, int):
        return dict.fromkeys(names, found)
    if hasattr(plugin, "normalize"):
        found = plugin.normalize(info, table, found, rows)
    return {name: int(found[table.row(name)]) for name in names}


def check_plugin(plugin: Any, table: NodeTable, pods: Sequence[Object]) -> None:
    """Raise AssertionError where a plugin breaks the contract: shapes, types and ranges of what it answers, a
    reason for every refusal, the same answer twice, and nothing of its input changed."""
    assert isinstance(plugin.name, str), "a plugin has a name"
    assert plugin.name, "the name is not empty"
    before = deepcopy(([table.node(table.row(name)) for name in table], pods))
    for one in pods:
        if hasattr(plugin, "filter"):
            _check_filter(plugin, PodInfo(one), table)
            assert feasible(plugin, one, table) == feasible(plugin, one, table), f"{plugin.name} changes its mind"
        if hasattr(plugin, "score") and len(table):
            found = scores(plugin, one, table)
            for name, score in (found or {}).items():
                assert 0 <= score <= MAX_NODE_SCORE, f"{plugin.name} gives {name} {score}, not 0..{MAX_NODE_SCORE}"
            assert found == scores(plugin, one, table), f"{plugin.name} changes its mind"
    after = [table.node(table.row(name)) for name in table], pods
    assert before == after, f"{plugin.name} changed a shared object"


def _check_filter(plugin: Any, pod: PodInfo, table: NodeTable) -> None:
    if hasattr(plugin, "pre_filter"):
        answer = plugin.pre_filter(pod, table)
        if answer is SKIP or isinstance(answer, Refusal):
            return
    mask = plugin.filter(pod, table)
    assert mask.dtype == np.bool_, f"{plugin.name}: filter must answer bools, not {mask.dtype}"
    assert mask.shape == (table.size,), f"{plugin.name}: filter must answer for {table.size} rows, not {mask.shape}"
    rows = np.flatnonzero(table.valid & ~mask)
    if not len(rows):
        return
    explained: set[int] = set()
    for refusal in plugin.explain(pod, table, rows):
        assert refusal.reason, f"{plugin.name}: a refusal needs a reason"
        explained |= set(rows.tolist() if refusal.rows is None else refusal.rows.tolist())
        if refusal.detail is not None:
            assert isinstance(refusal.detail(int(rows[0])), str)
    assert explained == set(rows.tolist()), f"{plugin.name}: explain must give reasons for exactly its rows"
