"""A type with every kind of list and map, random objects of it, and what is plainly true of them."""

from collections.abc import Iterator
from typing import Any

import orjson
from hypothesis import strategies as st

from kubrick_api.fields.sets import Path
from kubrick_api.fields.shape import Shapes
from kubrick_api.fields.tracker import Tracker
from kubrick_api.schema import Schemas

Object = dict[str, Any]
NAME = "io.example.t.v1."
TABLE: dict[str, Any] = {
    f"{NAME}Thing": {
        "fields": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"ref": f"{NAME}Meta"},
            "spec": {"ref": f"{NAME}Spec"},
            "status": {"ref": f"{NAME}Spec"},
        }
    },
    f"{NAME}Meta": {
        "fields": {
            "name": {"type": "string"},
            "uid": {"type": "string"},
            "labels": {"map": {"type": "string"}},
            "managedFields": {"list": {"type": "object"}},
        }
    },
    f"{NAME}Spec": {
        "fields": {
            "replicas": {"type": "integer"},
            "text": {"type": "string"},
            "plain": {"list": {"type": "string"}},
            "tags": {"list": {"type": "string"}, "list-type": "set"},
            "items": {"list": {"ref": f"{NAME}Item"}, "list-type": "map", "list-map-keys": ["name"]},
            "ports": {"list": {"ref": f"{NAME}Port"}, "list-type": "map", "list-map-keys": ["port", "protocol"]},
            "merged": {"list": {"ref": f"{NAME}Item"}, "patch-strategy": "merge", "patch-merge-key": "name"},
            "selector": {"map": {"type": "string"}, "map-type": "atomic"},
            "whole": {"ref": f"{NAME}Whole"},
            "part": {"ref": f"{NAME}Item"},
            "named": {"map": {"ref": f"{NAME}Item"}},
            "raw": {"type": "object"},
        }
    },
    f"{NAME}Item": {
        "fields": {
            "name": {"type": "string", "required": True},
            "value": {"type": "string"},
            "labels": {"map": {"type": "string"}},
            "part": {"ref": f"{NAME}Item"},
        }
    },
    f"{NAME}Port": {
        "fields": {
            "port": {"type": "integer", "required": True},
            "protocol": {"type": "string", "default": "TCP"},
            "label": {"type": "string"},
        }
    },
    f"{NAME}Whole": {"fields": {"a": {"type": "string"}, "b": {"list": {"type": "string"}}}, "map-type": "atomic"},
}


def schemas() -> Schemas:
    made = Schemas()
    made.add("example", "v1", TABLE)
    return made


def tracker() -> Tracker:
    return Tracker(Shapes(schemas()), f"{NAME}Thing", "example.io/v1")


WORDS = st.sampled_from("abc")
LABELS = st.dictionaries(WORDS, WORDS, min_size=1, max_size=2)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Object]:
    return st.fixed_dictionaries({}, optional=fields)


def nonempty(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return strategy.filter(bool)


BARE = st.fixed_dictionaries({"name": WORDS}, optional={"value": WORDS, "labels": LABELS})
ITEM = st.fixed_dictionaries({"name": WORDS}, optional={"value": WORDS, "labels": LABELS, "part": BARE})
PORT = st.fixed_dictionaries(
    {"port": st.sampled_from((80, 443, 8080))}, optional={"protocol": st.sampled_from(("TCP", "UDP")), "label": WORDS}
)


def items(item: st.SearchStrategy[Object], *keys: str) -> st.SearchStrategy[list[Object]]:
    return st.lists(item, min_size=1, max_size=3, unique_by=lambda found: tuple(found.get(key, "TCP") for key in keys))


SPEC = some(
    replicas=st.integers(1, 3),
    text=WORDS,
    plain=st.lists(WORDS, min_size=1, max_size=3),
    tags=st.lists(WORDS, min_size=1, max_size=3, unique=True),
    items=items(ITEM, "name"),
    ports=items(PORT, "port", "protocol"),
    merged=items(BARE, "name"),
    selector=LABELS,
    whole=nonempty(some(a=WORDS, b=st.lists(WORDS, min_size=1))),
    part=BARE,
    named=st.dictionaries(WORDS, BARE, min_size=1, max_size=2),
    raw=st.dictionaries(WORDS, st.one_of(WORDS, LABELS), min_size=1, max_size=2),
)


@st.composite
def things(draw: st.DrawFn) -> Object:
    """A valid object; containers in it are never empty."""
    obj: Object = {"kind": "Thing", "apiVersion": "example.io/v1", "metadata": {"name": "t"}}
    labels = draw(st.none() | LABELS)
    if labels:
        obj["metadata"]["labels"] = labels
    spec = draw(SPEC)
    if spec:
        obj["spec"] = spec
    return obj


def walk(obj: Object) -> set[Path]:
    """Every path that the object sets, found the plain way: straight from the table."""
    return {path for path in _walk(f"{NAME}Thing", obj, ()) if not _unowned(path)}


def _unowned(path: Path) -> bool:
    return path in {("f:kind",), ("f:apiVersion",), ("f:metadata", "f:name"), ("f:metadata", "f:uid")} or (
        path[:2] == ("f:metadata", "f:managedFields")
    )


def _walk(kind: str, obj: Object, at: Path) -> Iterator[Path]:
    for key, value in obj.items():
        yield from _value(TABLE[kind]["fields"][key], value, (*at, f"f:{key}"))


def _value(spec: Any, value: Any, at: Path) -> Iterator[Path]:
    if "list" in spec:
        yield from _list(spec, value, at)
    elif "map" in spec:
        if spec.get("map-type") == "atomic":
            yield at
        else:
            for key, entry in value.items():
                yield (*at, f"f:{key}")
                yield from _value(spec["map"], entry, (*at, f"f:{key}"))
    elif "ref" in spec:
        if TABLE[spec["ref"]].get("map-type") == "atomic":
            yield at
        else:
            yield from _walk(spec["ref"], value, at)
    elif spec["type"] == "object" and isinstance(value, dict):
        for key, entry in value.items():
            yield (*at, f"f:{key}")
            yield from _value(spec, entry, (*at, f"f:{key}"))
    else:
        yield at


def _list(spec: Any, value: Any, at: Path) -> Iterator[Path]:
    keys = spec.get("list-map-keys") or ([spec["patch-merge-key"]] if "patch-merge-key" in spec else None)
    for item in value:
        if keys:
            shown = {key: item.get(key, "TCP") for key in sorted(keys)}
            part = f"k:{orjson.dumps(shown).decode()}"
            yield (*at, part)
            yield from _walk(spec["list"]["ref"], item, (*at, part))
        elif spec.get("list-type") == "set":
            yield (*at, f"v:{orjson.dumps(item).decode()}")
        else:
            yield at
            return


def exists(obj: Any, path: Path) -> bool:
    """Whether there is something at the path."""
    for part in path:
        kind, _, rest = part.partition(":")
        if kind == "f":
            if not isinstance(obj, dict) or rest not in obj:
                return False
            obj = obj[rest]
        elif kind == "k":
            keys = orjson.loads(rest)
            obj = next((item for item in obj if all(item.get(k, "TCP") == v for k, v in keys.items())), None)
            if obj is None:
                return False
        elif orjson.loads(rest) not in obj:
            return False
    return True
