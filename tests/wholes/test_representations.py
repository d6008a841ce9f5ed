"""Every verb of every resource and subresource, in every representation it can be had in: what a client sends and
what it reads. docs/reference/resources.md is the table of what was seen here.

    KUBRICK_WRITE_DOCS=1 make test ARGS=tests/wholes/test_representations.py

writes it anew.
"""

import os
import sys
from pathlib import Path
from typing import Any

import orjson
import yaml
from attrs import define, field

from kubrick_api.catalog import Catalog
from kubrick_api.errors import StatusError
from kubrick_api.names import GVR
from kubrick_api.protobuf import Protobuf
from kubrick_api.resource import Resource, Subresource
from kubrick_api.storage import Reader, UserInfo
from kubrick_apiserver.handler import CONNECTED, ResourceHandler
from kubrick_apiserver.registry import Registry
from kubrick_apiserver.request_info import parse_target
from kubrick_apiserver.web import Request, Response
from kubrick_testing import Cluster, run_cluster

sys.path.insert(0, str(Path(__file__).parent))
from api_examples import Object, example

GVR_PODS = GVR("", "v1", "pods")
DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "resources.md"
ADMIN = UserInfo("kubernetes-admin", groups=("system:masters", "system:authenticated"))
ACCOUNTS = "admission-service-account"
JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
BODIES = {"J": JSON, "Y": YAML, "P": PROTOBUF}
TABLE = f"{JSON};as=Table;v=v1;g=meta.k8s.io"
FORMS = {**BODIES, "T": TABLE, "M": f"{JSON};as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}
LISTS = {**FORMS, "M": f"{JSON};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
PATCHES = {
    "j": ("application/json-patch+json", [{"op": "add", "path": "/metadata/labels", "value": {"seen": "json"}}]),
    "m": ("application/merge-patch+json", {"metadata": {"labels": {"seen": "merge"}}}),
    "s": ("application/strategic-merge-patch+json", {"metadata": {"labels": {"seen": "strategic"}}}),
}
ORDER = "JYPTMjmsa✓"
VERBS = ("create", "get", "list", "watch", "update", "patch", "delete", "deletecollection")
HEAD = """# Resources, verbs and representations

Every resource and subresource that the built-in API groups serve. A cell says in which forms the verb was seen to
work: its request's body (if it has one) and its answer. The table is written by `tests/wholes/test_representations.py`,
which goes through all of them.

- **J** JSON, **Y** YAML, **P** Kubernetes protobuf
- **T** a Table (JSON), **M** PartialObjectMetadata or its list (JSON)
- patches: **j** JSON patch, **m** merge patch, **s** strategic merge patch, **a** server-side apply
- subresources that are connections (exec, proxy, log, …) have no representation: ✓

"""


@define
class Web:
    """Requests past authentication and authorization, and their bodies in any form."""

    handler: ResourceHandler
    protobuf: Protobuf

    def encoded(self, form: str, obj: Object) -> bytes:
        if form == "P":
            return self.protobuf.encode(obj)
        return yaml.safe_dump(obj).encode() if form == "Y" else orjson.dumps(obj)

    def decoded(self, form: str, data: bytes) -> Object:
        if form == "P":
            return self.protobuf.decode(data)
        found: Object = yaml.safe_load(data) if form == "Y" else orjson.loads(data)
        return found

    async def respond(self, method: str, target: str, accept: str, body: bytes = b"", kind: str = JSON) -> Response:
        path, query, repeated, info = parse_target(method, target)
        headers = {"accept": accept, **({"content-type": kind} if body else {})}
        return await self.handler(Request(method, path, query, headers, body, info, ADMIN, repeated))

    async def ask(self, method: str, target: str, form: str = "J", obj: Any = None, accept: str = "") -> Object:
        """The answer to a request with a body of this form. Raises StatusError, and AssertionError when the answer
        isn't what was asked for."""
        wanted = accept or FORMS[form]
        sent = b"" if obj is None else self.encoded(form, obj)
        response = await self.respond(method, target, wanted, sent, BODIES.get(form, JSON))
        assert response.content_type == wanted.partition(";")[0], (method, target, response.content_type)
        data = response.body if isinstance(response.body, bytes) else b"".join(response.body)  # type: ignore[arg-type]
        return self.decoded(form, data)


@define
class Tour:
    """Goes through one resource and keeps what worked, by row and verb."""

    web: Web
    cluster: Cluster
    resource: Resource
    name: str
    rows: dict[str, dict[str, str]] = field(factory=dict)
    _posted: Object = field(factory=dict, init=False)

    @property
    def collection(self) -> str:
        gvr = self.resource.gvr
        root = f"/apis/{gvr.group}/{gvr.version}" if gvr.group else f"/api/{gvr.version}"
        return f"{root}/namespaces/default/{gvr.resource}" if self.resource.namespaced else f"{root}/{gvr.resource}"

    def seen(self, row: str, verb: str, form: str) -> None:
        cells = self.rows.setdefault(row, {})
        cells[verb] = f"{cells.get(verb, '')} {form}".strip()

    def is_one(self, obj: Object, form: str) -> None:
        """The answer is this object, in this form."""
        kind = {"T": "Table", "M": "PartialObjectMetadata"}.get(form, self.resource.kind.kind)
        assert obj["kind"] == kind, obj
        if form == "T":
            assert obj["rows"][0]["cells"][0] == self.name or self.resource.kind.kind == "Event", obj
        elif self.resource.virtual is None:
            assert obj["metadata"]["name"] == self.name
            assert ("spec" in obj) <= (form != "M")

    async def go(self) -> None:
        resource, row = self.resource, self.resource.gvr.resource
        if resource.virtual is not None:
            await self._virtual(row)
            return
        obj = example(resource, self.name)
        self.name = obj["metadata"]["name"]
        where = f"{self.collection}/{self.name}"
        for form in ("Y", "P", "J"):
            dry = "" if form == "J" else "?dryRun=All"
            self.is_one(await self.web.ask("POST", f"{self.collection}{dry}", form, obj), form)
            self.seen(row, "create", form)
        for form in FORMS:
            self.is_one(await self.web.ask("GET", where, form), form)
            self.seen(row, "get", form)
        await self._lists(row)
        for form in BODIES:
            stored = await self.web.ask("GET", where, form)
            stored["metadata"].setdefault("labels", {})["seen"] = form
            answer = await self.web.ask("PUT", where, form, stored)
            assert answer["metadata"]["labels"]["seen"] == form
            self.seen(row, "update", form)
        await self._patches(row, where)
        for subresource in resource.subresources.values():
            await self._subresource(subresource, where)
        for form in ("Y", "P", "J"):
            await self.web.ask("DELETE", f"{where}?gracePeriodSeconds=0{'' if form == 'J' else '&dryRun=All'}", form)
            self.seen(row, "delete", form)
        if "deletecollection" in resource.verbs:
            for form in BODIES:
                answer = await self.web.ask("DELETE", f"{self.collection}?labelSelector=seen=never", form)
                assert answer["kind"] in (resource.list_kind, "Status")
                self.seen(row, "deletecollection", form)

    async def _virtual(self, row: str) -> None:
        """Reviews, bindings and component statuses, which nobody keeps."""
        resource = self.resource
        for form in BODIES:
            if "create" in resource.verbs:
                obj = example(resource, self.name)
                if resource.kind.kind == "Binding":
                    obj["metadata"]["name"] = await self._pod(f"bound-{form.lower()}")
                answer = await self.web.ask("POST", self.collection, form, obj)
                assert answer["kind"] in (resource.kind.kind, "Status")
                self.seen(row, "create", form)
            else:
                found = await self.web.ask("GET", self.collection, form)
                one = await self.web.ask("GET", f"{self.collection}/{found['items'][0]['metadata']['name']}", form)
                assert (found["kind"], one["kind"]) == (resource.list_kind, resource.kind.kind)
                self.seen(row, "list", form)
                self.seen(row, "get", form)

    async def _pod(self, name: str) -> str:
        """A pod without a node."""
        pod = self.cluster.kernel.find(Catalog).resource(GVR_PODS)
        assert pod is not None
        await self.web.ask("POST", "/api/v1/namespaces/default/pods", "J", example(pod, name))
        return name

    async def _lists(self, row: str) -> None:
        for form, accept in LISTS.items():
            found = await self.web.ask("GET", f"{self.collection}?limit=500", form, accept=accept)
            kind = {"T": "Table", "M": "PartialObjectMetadataList"}.get(form, self.resource.list_kind)
            assert found["kind"] == kind
            if form == "T":
                assert found["columnDefinitions"]
            else:
                assert self.name in [item["metadata"]["name"] for item in found["items"]]
            self.seen(row, "list", form)
        if "watch" not in self.resource.verbs:
            return
        for form, accept in FORMS.items():
            if form == "Y":
                continue  # there are no streams of YAML
            target = f"{self.collection}?watch=true&fieldSelector=metadata.name%3D{self.name}"
            response = await self.web.respond("GET", target, accept)
            async with response.body as stream:  # type: ignore[union-attr]
                frame = await stream.next()
            if form == "P":
                assert response.content_type == f"{PROTOBUF};stream=watch"
                assert int.from_bytes(frame[:4], "big") == len(frame) - 4
                assert b"ADDED" in frame[:16]
                self.is_one(self.web.protobuf.decode(frame[frame.index(b"k8s\0") :]), form)
            else:
                event = orjson.loads(frame)
                assert event["type"] == "ADDED"
                self.is_one(event["object"], form)
            self.seen(row, "watch", form)

    async def _patches(self, row: str, where: str) -> None:
        for form, (kind, patch) in PATCHES.items():
            response = await self.web.respond("PATCH", where, JSON, orjson.dumps(patch), kind)
            assert isinstance(response.body, bytes)
            labels = orjson.loads(response.body)["metadata"]["labels"]
            assert labels["seen"] in ("json", "merge", "strategic")
            self.seen(row, "patch", form)
        mine = {
            "apiVersion": self.resource.kind.api_version,
            "kind": self.resource.kind.kind,
            "metadata": {"name": self.name, "labels": {"applied": "yes"}},
        }
        target = f"{where}?fieldManager=tour&force=true"
        response = await self.web.respond("PATCH", target, JSON, orjson.dumps(mine), "application/apply-patch+yaml")
        assert isinstance(response.body, bytes)
        assert orjson.loads(response.body)["metadata"]["labels"]["applied"] == "yes"
        self.seen(row, "patch", "a")

    async def _subresource(self, subresource: Subresource, where: str) -> None:
        row, target = f"{self.resource.gvr.resource}/{subresource.name}", f"{where}/{subresource.name}"
        if subresource.name in CONNECTED:
            for verb in subresource.verbs:
                self.seen(row, verb, "✓")
            return
        for form in BODIES:
            if "get" in subresource.verbs:
                answer = await self.web.ask("GET", target, form)
                assert answer["kind"] == subresource.kind.kind
                self.seen(row, "get", form)
            if "update" in subresource.verbs:
                view = "get" in subresource.verbs
                obj = await self.web.ask("GET", target if view else where, form)
                assert (await self.web.ask("PUT", target, form, obj))["kind"] == subresource.kind.kind
                self.seen(row, "update", form)
            if "create" in subresource.verbs:
                answer = await self.web.ask("POST", await self._bare(subresource, where, form), form, self._posted)
                assert answer["kind"] in (subresource.kind.kind, "Status")
                self.seen(row, "create", form)
        if "patch" in subresource.verbs:
            for form, (kind, patch) in PATCHES.items():
                # A Scale has no labels to patch.
                harmless = [] if form == "j" else {"metadata": {"name": self.name}}
                body = harmless if subresource.kind.kind == "Scale" else patch
                response = await self.web.respond("PATCH", target, JSON, orjson.dumps(body), kind)
                assert response.status == 200
                self.seen(row, "patch", form)
            kind = subresource.kind
            mine = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": self.name}}
            if kind.kind == "Scale":
                mine["spec"] = {"replicas": 1}
            applied = f"{target}?fieldManager=tour&force=true"
            answer = await self.web.respond("PATCH", applied, JSON, orjson.dumps(mine), "application/apply-patch+yaml")
            assert answer.status == 200
            self.seen(row, "patch", "a")

    async def _bare(self, subresource: Subresource, where: str, form: str) -> str:
        """Where to post the subresource's object, which is then `_posted`: a binding needs a pod of its own."""
        kind = subresource.kind
        self._posted = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": self.name}}
        if kind.kind == "Binding":
            name = await self._pod(f"to-bind-{form.lower()}")
            self._posted |= {"metadata": {"name": name}, "target": {"kind": "Node", "name": "node-1"}}
            return f"/api/v1/namespaces/default/pods/{name}/binding"
        if kind.kind == "Eviction":
            name = await self._pod(f"to-evict-{form.lower()}")
            self._posted["metadata"] = {"name": name}
            return f"/api/v1/namespaces/default/pods/{name}/eviction"
        if kind.kind == "TokenRequest":
            self._posted["spec"] = {"audiences": ["api"]}
        return f"{where}/{subresource.name}"


async def test_every_verb_of_every_resource_in_every_representation() -> None:
    async with run_cluster("api", enable=("auth-service-account",), disable=(ACCOUNTS,)) as cluster:
        catalog, registry = cluster.kernel.find(Catalog), cluster.kernel.find(Reader)  # type: ignore[type-abstract]
        assert isinstance(registry, Registry)
        web = Web(ResourceHandler(cluster.kernel, catalog, registry), Protobuf(catalog))
        tables = []
        for group in catalog.groups():
            rows: dict[str, dict[str, str]] = {}
            for index, resource in enumerate(group.resources):
                tour = Tour(web, cluster, resource, f"example-{index}")
                try:
                    await tour.go()
                except StatusError as error:
                    raise AssertionError(f"{resource.gvr} after {tour.rows}: {error.message}") from error
                for row, cells in tour.rows.items():
                    rows[row] = cells
                    view = resource.subresources.get(row.partition("/")[2])
                    assert set(cells) == set(view.verbs if view else resource.verbs), row
            tables.append(table(f"{group.group or 'core'}/{group.version}", rows))
    text = HEAD + "\n".join(tables)
    if os.environ.get("KUBRICK_WRITE_DOCS"):
        DOCUMENT.write_text(text)
    assert DOCUMENT.read_text() == text, "write it anew with KUBRICK_WRITE_DOCS=1"


def table(title: str, rows: dict[str, dict[str, str]]) -> str:
    """One group's table, in Markdown."""
    lines = [f"## {title}", "", f"| resource | {' | '.join(VERBS)} |", f"|{'---|' * (len(VERBS) + 1)}"]
    for row, cells in sorted(rows.items()):
        shown = (" ".join(sorted(cells.get(verb, "").split(), key=ORDER.index)) for verb in VERBS)
        lines.append(f"| {row} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"
