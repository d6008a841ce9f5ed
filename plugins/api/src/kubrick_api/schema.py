"""The schema engine: one pass over an object that prunes, checks, normalises and defaults it.

A table of types (``schemas.json`` of an API group brick) maps a type's name to its definition:

    {"fields": {NAME: FIELD}, "gvk": [group, version, kind], "map-type": "atomic", "pb_message": ...}

where a FIELD has one of ``type`` (with ``format``), ``ref`` (a type's name), ``list`` or ``map`` (of
another FIELD), and may have ``required``, ``default``, ``list-type``, ``list-map-keys``, ``map-type``,
``patch-strategy``, ``patch-merge-key``, ``pb`` (its protobuf number), ``keep-empty`` (an optional string
that is a pointer in Go), ``omit-zero`` (an optional number or boolean that isn't), ``go`` (its Go type).

    schemas = Schemas(); schemas.add("apps", "v1", table)
    kind = schemas["io.k8s.api.apps.v1.Deployment"]
    warnings = kind.accept(obj)     # in place; ['unknown field "spec.foo"']; raises StatusError 400

`Type.accept` does everything in one pass: drops unknown fields, nulls, and what Go's omitempty would
drop; refuses wrong JSON types in the words of kube-apiserver's decoder; canonicalises quantities and
times; fills in static defaults.
`missing` and `duplicates` are separate, for strategies that want them. A type is compiled into a
table of closures when it is first met, so loading a group costs nothing until it is used.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kubrick_api.errors import FieldError, StatusError, bad_request, duplicate, required
from kubrick_api.names import GVK
from kubrick_api.scalars import SCALARS, Scalar
from kubrick_api.trouble import Trouble

Definition = Mapping[str, Any]
Visit = Callable[[Any, Any, Any], list[Trouble] | None]
"""visit(value, holder, key): check `value`, which is ``holder[key]`` and may be replaced there."""

OPAQUE = (
    "io.k8s.apimachinery.pkg.runtime.RawExtension",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Patch",
)
NULLS = {"Quantity": "0", "IntOrString": 0}
ZEROS: dict[type, Any] = {str: "", int: 0, bool: False, float: 0.0, dict: None, list: None}


class Schemas(Mapping[str, "Type"]):
    """All types of all registered groups, by name, compiled when first asked for."""

    def __init__(self) -> None:
        self._tables: dict[str, Mapping[str, Any]] = {}
        self._types: dict[str, Type] = {}

    def add(self, group: str, version: str, table: Mapping[str, Any]) -> None:
        """Add a group-version's table. It is read only when one of its types is asked for."""
        self._tables[f"{group.partition('.')[0] or 'core'}.{version}"] = table

    def __getitem__(self, name: str) -> "Type":
        found = self._types.get(name)
        if found is None:
            found = self._types[name] = Type(name, self.definition(name), self)
        return found

    def definition(self, name: str) -> Definition:
        """The raw definition of a type. Raises LookupError, naming the type, when no group has it."""
        package = ".".join(name.split(".")[-3:-1])
        likely = self._tables.get(package)
        if likely is not None and name in likely:
            return likely[name]  # type: ignore[no-any-return]  # tables are untyped JSON
        for table in {id(t): t for t in self._tables.values()}.values():
            if name in table:
                return table[name]  # type: ignore[no-any-return]
        raise LookupError(f"no registered API group defines the type {name}")

    def tables(self) -> list[Mapping[str, Any]]:
        """Every table once."""
        return list({id(table): table for table in self._tables.values()}.values())

    def __iter__(self) -> Iterator[str]:
        return (name for table in self.tables() for name in table)

    def __len__(self) -> int:
        return sum(len(table) for table in self.tables())

    def __contains__(self, name: object) -> bool:
        return any(name in table for table in self.tables())


class Type:
    """One type. `definition` is its entry in the table."""

    def __init__(self, name: str, definition: Definition, schemas: Schemas) -> None:
        self.name = name
        self.definition = definition
        self.schemas = schemas
        self.fields: Mapping[str, Definition] = definition.get("fields", {})
        self.short = name.rpartition(".")[2]
        self._visit: Visit | None = None

    def accept(self, obj: dict[str, Any], kind: GVK | None = None) -> list[str]:
        """Prune, check, normalise and default `obj` in place. Returns what to warn of (or, under strict
        validation, to refuse: see `strict_error`): ``unknown field "spec.foo"``. Raises StatusError 400
        for a wrong JSON type. `kind` is for the message; without it the object's own is used."""
        wrong, unknown = self.decode(obj)
        if wrong is not None:
            raise undecodable(kind or GVK.of(obj), str(wrong))
        return unknown

    def decode(self, obj: dict[str, Any]) -> tuple[Trouble | None, list[str]]:
        """`accept`, returning the first thing that is wrong with its types, or else the unknown fields."""
        troubles = self.visit(obj, None, None)
        if not troubles:
            return None, []
        wrong = next((trouble for trouble in troubles if not trouble.unknown), None)
        return wrong, [] if wrong is not None else [str(trouble) for trouble in troubles]

    def child(self, key: str) -> "Type | None":
        """The type of the field's value, or of its items when it is a list or map; None for scalars."""
        spec = self.fields.get(key)
        while spec is not None and "ref" not in spec:
            spec = spec.get("list") or spec.get("map")
        return None if spec is None else self.schemas[spec["ref"]]

    @property
    def visit(self) -> Visit:
        if self._visit is None:
            self._visit = self._compile()
        return self._visit

    def _compile(self) -> Visit:
        scalar = SCALARS.get(self.short) if not self.fields else None
        if scalar is not None:
            return scalar.visit
        if self.name in OPAQUE or not self.fields:
            return accept_anything
        return object_visitor(self)

    # Checks that strategies ask for.

    def missing(self, obj: Any, path: str = "", skip: tuple[str, ...] = ("status",)) -> list[FieldError]:
        """Required fields that are absent, "" or empty: ``spec.selector: Required value``. Not for numbers
        and booleans, whose zero value counts as given. `skip` names top-level fields not looked into."""
        errors: list[FieldError] = []
        for key, spec in self.fields.items():
            if key in skip:
                continue
            where = f"{path}.{key}" if path else key
            value = obj.get(key)
            if value is None or value == "" or value == [] or (value == {} and "map" in spec):
                if spec.get("required") and spec.get("type") in (None, "string"):
                    errors.append(required(where))
            else:
                child = self.child(key)
                if child is not None and child.fields:
                    for at, item in items(spec, value, where):
                        errors += child.missing(item, at, ())
        return errors

    def duplicates(self, obj: Any, path: str = "") -> list[FieldError]:
        """Items of list-maps and list-sets that repeat a key: ``spec.ports[1]: Duplicate value``."""
        errors: list[FieldError] = []
        for key, spec in self.fields.items():
            value = obj.get(key)
            if not value:
                continue
            where = f"{path}.{key}" if path else key
            keys = spec.get("list-map-keys")
            if keys or spec.get("list-type") == "set":
                errors += repeated(value, keys, where)
            child = self.child(key)
            if child is not None and child.fields:
                for at, item in items(spec, value, where):
                    errors += child.duplicates(item, at)
        return errors


def strict_error(kind: GVK, warnings: list[str]) -> StatusError:
    """What fieldValidation=Strict answers for unknown (or duplicate) fields."""
    return undecodable(kind, f"strict decoding error: {', '.join(warnings)}")


def undecodable(kind: GVK, why: str) -> StatusError:
    return bad_request(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {why}')


def items(spec: Definition, value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The objects in a field's value, each with its path."""
    if "list" in spec:
        for index, item in enumerate(value):
            yield f"{path}[{index}]", item
    elif "map" in spec:
        for key, item in value.items():
            yield f"{path}[{key}]", item
    else:
        yield path, value


def repeated(values: list[Any], keys: list[str] | None, path: str) -> list[FieldError]:
    errors = []
    seen = set()
    for index, item in enumerate(values):
        identity = tuple(item.get(key) for key in keys) if keys else item
        if identity in seen:
            shown = {key: item[key] for key in keys if key in item} if keys else item
            errors.append(duplicate(f"{path}[{index}]", shown))
        seen.add(identity)
    return errors


# Compilation


def accept_anything(value: Any, holder: Any, key: Any) -> None:
    return None


Entry = tuple[type, Visit | None, bool]
"""The JSON type expected, what to do with such a value (None: nothing), whether to drop an empty one."""


def object_visitor(kind: Type) -> Visit:
    short = kind.short
    table: dict[str, Entry] = {}
    for name, spec in kind.fields.items():
        table[name] = entry_of(spec, kind.schemas)
    defaults = tuple((name, spec["default"]) for name, spec in kind.fields.items() if "default" in spec)
    get = table.get

    def visit(obj: Any, holder: Any, key: Any) -> list[Trouble] | None:
        if type(obj) is not dict:
            return [Trouble.of_type(obj, go_type(kind.name), dict)]
        troubles: list[Trouble] | None = None
        drop: list[str] | None = None
        for name, value in obj.items():
            entry = get(name)
            if entry is None:
                found: list[Trouble] | None = [Trouble.unknown_field()]
            else:
                expected, visit_value, droppable = entry
                if value.__class__ is expected:
                    if not value and droppable:
                        found = None
                        if drop is None:
                            drop = [name]
                        else:
                            drop.append(name)
                        continue
                    if visit_value is None:
                        continue
                    found = visit_value(value, obj, name)
                    if found is None:
                        continue
                elif value is None:
                    found = None
                else:
                    found = unexpected(value, obj, name, entry, kind)
                    if found is None:
                        continue
            if found is None:
                drop = [*(drop or ()), name]
                continue
            for trouble in found:
                if trouble.unknown and not trouble.path:
                    drop = [*(drop or ()), name]
                trouble.path.append(name)
                if trouble.struct is None:
                    trouble.struct = short
            troubles = found if troubles is None else troubles + found
        if drop is not None:
            for name in drop:
                del obj[name]
        for name, value in defaults:
            if name not in obj:
                obj[name] = value
        return troubles

    return visit


def unexpected(value: Any, obj: Any, name: str, entry: Entry, kind: Type) -> list[Trouble] | None:
    """A value that isn't of the usual JSON type: either fine all the same (an integer for a quantity),
    or wrong."""
    expected = entry[0]
    spec = kind.fields[name]
    if "ref" in spec:
        return kind.schemas[spec["ref"]].visit(value, obj, name)
    if expected is float and type(value) is int:
        return None
    return [Trouble.of_type(value, go_field_type(spec), expected)]


def entry_of(spec: Definition, schemas: Schemas) -> Entry:
    """How to treat the values of one field."""
    optional = not spec.get("required")
    if "list" in spec:
        return list, list_visitor(spec["list"], schemas), optional
    if "map" in spec:
        return dict, map_visitor(spec["map"], schemas), optional
    if "ref" in spec:
        scalar = SCALARS.get(spec["ref"].rpartition(".")[2])
        if scalar is not None:
            return scalar.usual, scalar.visit, False
        return dict, reference_visitor(spec["ref"], schemas), False
    scalar = plain_scalar(spec)
    droppable = optional and not spec.get("keep-empty") if scalar.usual is str else bool(spec.get("omit-zero"))
    return scalar.usual, scalar.narrow, droppable


def plain_scalar(spec: Definition) -> Scalar:
    return SCALARS[spec.get("format") or spec["type"]]


def reference_visitor(name: str, schemas: Schemas) -> Visit:
    """The visitor of another type, looked up when first needed (types refer to each other in cycles)."""
    visit: Visit | None = None

    def visit_reference(value: Any, holder: Any, key: Any) -> list[Trouble] | None:
        nonlocal visit
        if visit is None:
            visit = schemas[name].visit
        return visit(value, holder, key)

    return visit_reference


def value_visitor(spec: Definition, schemas: Schemas) -> tuple[type, Visit | None, Visit]:
    """For members of lists and maps: the usual JSON type, the visitor for values of that type (None:
    nothing to do), and the one for values of any other type."""
    expected, visit, _ = entry_of(spec, schemas)
    zero = NULLS.get(spec.get("ref", "").rpartition(".")[2], ZEROS[expected])

    def visit_other(value: Any, holder: Any, key: Any) -> list[Trouble] | None:
        if value is None:
            # Go's decoder makes null the zero value of the member's type.
            holder[key] = expected() if zero is None else zero
            return None
        if "ref" in spec:
            return schemas[spec["ref"]].visit(value, holder, key)
        if expected is float and type(value) is int:
            return None
        return [Trouble.of_type(value, go_field_type(spec), expected)]

    return expected, visit, visit_other


def list_visitor(spec: Definition, schemas: Schemas) -> Visit:
    expected, visit_usual, visit_other = value_visitor(spec, schemas)

    def visit(values: Any, holder: Any, key: Any) -> list[Trouble] | None:
        troubles: list[Trouble] | None = None
        for index, value in enumerate(values):
            if value.__class__ is expected:
                if visit_usual is None:
                    continue
                found = visit_usual(value, values, index)
            else:
                found = visit_other(value, values, index)
            if found is not None:
                for trouble in found:
                    trouble.path.append(index)
                troubles = found if troubles is None else troubles + found
        return troubles

    return visit


def map_visitor(spec: Definition, schemas: Schemas) -> Visit:
    expected, visit_usual, visit_other = value_visitor(spec, schemas)

    def visit(values: Any, holder: Any, key: Any) -> list[Trouble] | None:
        troubles: list[Trouble] | None = None
        for name, value in values.items():
            if value.__class__ is expected:
                if visit_usual is None:
                    continue
                found = visit_usual(value, values, name)
            else:
                found = visit_other(value, values, name)
            if found is not None:
                for trouble in found:
                    trouble.path.append((name,))
                troubles = found if troubles is None else troubles + found
        return troubles

    return visit


def go_type(name: str) -> str:
    """A type's name as Go prints it: v1.PodSpec."""
    return ".".join(name.split(".")[-2:])


def go_field_type(spec: Definition) -> str:
    """A field's type as Go prints it: int32, []v1.Container, map[string]string."""
    if "go" in spec:
        return str(spec["go"])
    if "list" in spec:
        return f"[]{go_field_type(spec['list'])}"
    if "map" in spec:
        return f"map[string]{go_field_type(spec['map'])}"
    if "ref" in spec:
        return go_type(spec["ref"])
    return plain_scalar(spec).go
