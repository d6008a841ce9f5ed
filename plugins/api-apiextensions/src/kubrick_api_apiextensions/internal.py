"""Definitions' structs as Go shows them when an error quotes one whole (see kubrick_api_core.internal).

Names and order are those of pkg/apis/apiextensions, the internal types.
"""

from typing import Any

Object = dict[str, Any]

X = "x-kubernetes-"
FIELDS: dict[str, tuple[str, Any, bool]] = {
    "id": ("ID", "", False),
    "$schema": ("Schema", "", False),
    "$ref": ("Ref", None, False),
    "description": ("Description", "", True),
    "type": ("Type", "", True),
    "nullable": ("Nullable", False, False),
    "format": ("Format", "", True),
    "title": ("Title", "", True),
    "default": ("Default", None, False),
    "maximum": ("Maximum", None, True),
    "exclusiveMaximum": ("ExclusiveMaximum", False, True),
    "minimum": ("Minimum", None, True),
    "exclusiveMinimum": ("ExclusiveMinimum", False, True),
    "maxLength": ("MaxLength", None, True),
    "minLength": ("MinLength", None, True),
    "pattern": ("Pattern", "", True),
    "maxItems": ("MaxItems", None, True),
    "minItems": ("MinItems", None, True),
    "uniqueItems": ("UniqueItems", False, True),
    "multipleOf": ("MultipleOf", None, True),
    "enum": ("Enum", None, False),
    "maxProperties": ("MaxProperties", None, False),
    "minProperties": ("MinProperties", None, False),
    "required": ("Required", None, True),
    "items": ("Items", None, True),
    "allOf": ("AllOf", None, False),
    "oneOf": ("OneOf", None, False),
    "anyOf": ("AnyOf", None, False),
    "not": ("Not", None, False),
    "properties": ("Properties", None, True),
    "additionalProperties": ("AdditionalProperties", None, False),
    "patternProperties": ("PatternProperties", None, False),
    "dependencies": ("Dependencies", None, False),
    "additionalItems": ("AdditionalItems", None, False),
    "definitions": ("Definitions", None, False),
    "externalDocs": ("ExternalDocs", None, True),
    "example": ("Example", None, True),
    f"{X}preserve-unknown-fields": ("XPreserveUnknownFields", None, True),
    f"{X}embedded-resource": ("XEmbeddedResource", False, False),
    f"{X}int-or-string": ("XIntOrString", False, False),
    f"{X}list-map-keys": ("XListMapKeys", None, False),
    f"{X}list-type": ("XListType", None, False),
    f"{X}map-type": ("XMapType", None, False),
    f"{X}validations": ("XValidations", None, True),
}
"""A schema's field → Go's name, what is shown when it is absent, and whether the root may have it beside a status."""
ROOT_FIELDS = {name: (go, allowed) for name, (go, _, allowed) in FIELDS.items()}
RULE = ("rule", "message", "messageExpression", "reason", "fieldPath", "optionalOldSelf")
ABSENT: Object = {"reason": None, "optionalOldSelf": None}
COLUMN = ("name", "type", "format", "description", "priority", "jsonPath")


def shown_rule(rule: Object) -> Object:
    return {name[0].upper() + name[1:]: rule.get(name, ABSENT.get(name, "")) for name in RULE}


def shown_schema(schema: Object) -> Object:
    return {go: _part(name, schema.get(name), absent) for name, (go, absent, _) in FIELDS.items()}


def _part(name: str, value: Any, absent: Any) -> Any:
    if value is None:
        return absent
    if name in ("allOf", "oneOf", "anyOf"):
        return [shown_schema(part or {}) for part in value]
    if name in ("properties", "patternProperties", "definitions"):
        return {key: shown_schema(value[key] or {}) for key in sorted(value)}
    if name == "not":
        return shown_schema(value)
    if name == "items":
        whole = shown_schema(value) if isinstance(value, dict) else None
        return {"Schema": whole, "JSONSchemas": None if whole is not None else list(map(shown_schema, value))}
    if name in ("additionalProperties", "additionalItems"):
        return {"Allows": value is not False, "Schema": shown_schema(value) if isinstance(value, dict) else None}
    if name == "externalDocs":
        return {"Description": value.get("description") or "", "URL": value.get("url") or ""}
    return list(map(shown_rule, value)) if name == f"{X}validations" else value


def shown_versions(versions: list[Object], hoisted: list[str]) -> list[Object]:
    """`hoisted`: what all say alike isn't theirs."""
    return [_version({name: value for name, value in v.items() if name not in hoisted}) for v in versions]


def _version(version: Object) -> Object:
    schema, subresources = version.get("schema"), version.get("subresources")
    columns, fields = version.get("additionalPrinterColumns"), version.get("selectableFields")
    scale = (subresources or {}).get("scale")
    whole = (schema or {}).get("openAPIV3Schema")
    return {
        "Name": version.get("name") or "",
        "Served": bool(version.get("served")),
        "Storage": bool(version.get("storage")),
        "Deprecated": bool(version.get("deprecated")),
        "DeprecationWarning": version.get("deprecationWarning"),
        "Schema": schema and {"OpenAPIV3Schema": None if whole is None else shown_schema(whole)},
        "Subresources": None
        if subresources is None
        else {"Status": subresources.get("status"), "Scale": scale and _scale(scale)},
        "AdditionalPrinterColumns": columns and list(map(_column, columns)),
        "SelectableFields": fields and [{"JSONPath": field.get("jsonPath") or ""} for field in fields],
    }


def _scale(scale: Object) -> Object:
    paths = {
        f"{name[0].upper()}{name[1:]}": scale.get(name) or "" for name in ("specReplicasPath", "statusReplicasPath")
    }
    return {**paths, "LabelSelectorPath": scale.get("labelSelectorPath")}


def _column(column: Object) -> Object:
    names = ("Name", "Type", "Format", "Description", "Priority", "JSONPath")
    return {go: column.get(name) or (0 if go == "Priority" else "") for go, name in zip(names, COLUMN, strict=True)}
