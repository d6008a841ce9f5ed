"""What can be wrong with a CustomResourceDefinition, and with changing one. Paths, order and wording are those of
apiextensions-apiserver's validation; conversion's are those of its internal type."""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from kubrick_api.conditions import condition_is
from kubrick_api.errors import (
    FieldError,
    duplicate,
    forbidden_value,
    invalid_value,
    not_supported,
    required,
    too_many,
)
from kubrick_api.formats import dns1035_label, invalids
from kubrick_api.resource import Object
from kubrick_api.validation import IMMUTABLE, subdomain
from kubrick_api.webhooks import validate_client_config
from kubrick_api_apiextensions.authorities import authorities_flaw
from kubrick_api_apiextensions.internal import shown_versions
from kubrick_api_apiextensions.structural import validate_schema

Errors = Iterator[FieldError]

SCOPES = ("Cluster", "Namespaced")
REVIEW_VERSIONS = ("v1", "v1beta1")
COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
APPROVAL = "api-approved.kubernetes.io"
MIXED_CASE = "may have mixed case, but should otherwise match: "
PRESERVE = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
ONE_STORED = "must have exactly one version marked as storage version"
MAX_SELECTABLE = 8
PARTS = ("schema", "subresources", "additionalPrinterColumns", "selectableFields")
NOT_SCALAR = (
    "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."
)
NO_OWN_SCHEMA = "selectableFields may only be set when version.schema.openAPIV3Schema is not included"
NO_SHARED_SCHEMA = "selectableFields may only be set when validations.schema is included"


def validate_definition(obj: Object, old: Object | None = None) -> Errors:
    """`old` is the definition that this one replaces: what was wrong with that may stay."""
    spec, status, before = obj.get("spec") or {}, obj.get("status") or {}, (old or {}).get("spec") or {}
    yield from _spec(spec, old)
    yield from _stored(status.get("storedVersions") or [], spec.get("versions") or [])
    if old is None or _approval_state(obj) != _approval_state(old):
        yield from _approval(obj, spec.get("group") or "")
    if spec.get("preserveUnknownFields") and not before.get("preserveUnknownFields"):
        yield invalid_value("spec.preserveUnknownFields", True, PRESERVE)


def validate_definition_update(obj: Object, old: Object) -> Errors:
    """What may never change, and what may not once the resource is served."""
    spec, was = obj.get("spec") or {}, old.get("spec") or {}
    names, before = spec.get("names") or {}, was.get("names") or {}
    fixed = []
    if condition_is((old.get("status") or {}).get("conditions"), "Established"):
        fixed = [("scope", spec.get("scope"), was.get("scope")), ("names.kind", names.get("kind"), before.get("kind"))]
    fixed += [
        ("group", spec.get("group"), was.get("group")),
        ("names.plural", names.get("plural"), before.get("plural")),
    ]
    for at, new, kept in fixed:
        if new != kept:
            yield invalid_value(f"spec.{at}", new or "", IMMUTABLE)


def _spec(spec: Object, old: Object | None) -> Errors:
    group, scope, versions = spec.get("group") or "", spec.get("scope") or "", spec.get("versions") or []
    if not group:
        yield required("spec.group")
    elif errors := subdomain(group):
        yield invalid_value("spec.group", group, ",".join(errors))
    elif "." not in group:
        yield invalid_value("spec.group", group, "should be a domain with at least one dot")
    if not scope:
        yield required("spec.scope")
    elif scope not in SCOPES:
        yield not_supported("spec.scope", scope, SCOPES)
    for i, version in enumerate(versions):
        if (version.get("schema") or {}).get("openAPIV3Schema") is None:
            yield required(f"spec.versions[{i}].schema.openAPIV3Schema", "schemas are required")
    hoisted = _hoisted(versions)
    for i, version in enumerate(versions):
        yield from _version(version, hoisted, has_status(version), f"spec.versions[{i}]")
    names = [version.get("name") for version in versions]
    if len(names) != len({*names}):
        yield invalid_value("spec.versions", shown_versions(versions, hoisted), "must contain unique version names")
    if sum(bool(version.get("storage")) for version in versions) != 1:
        yield invalid_value("spec.versions", shown_versions(versions, hoisted), ONE_STORED)
    for name in ("plural", "singular", "kind", "listKind"):
        if not (spec.get("names") or {}).get(name):
            yield required(f"spec.names.{name}")
    yield from validate_names(spec.get("names") or {}, "spec.names")
    if versions:
        shared, any_status = {name: versions[0].get(name) for name in hoisted}, any(map(has_status, versions))
        yield from _parts(shared, any_status, "spec.validation", "spec", NO_SHARED_SCHEMA)
    yield from _conversion(spec.get("conversion") or {}, "spec.conversion")
    if old is not None and not _may_have_any_bundle(old):
        yield from _bundle(_bundle_of(spec), "spec.conversion.webhookClientConfig.caBundle")


def validate_names(names: Object, at: str) -> Errors:
    """What a resource is called, in spec and in status."""
    for name in ("plural", "singular"):
        value = names.get(name) or ""
        if value and (errors := dns1035_label(value)):
            yield invalid_value(f"{at}.{name}", value, ",".join(errors))
    for name in ("kind", "listKind"):
        value = names.get(name) or ""
        if value and (errors := dns1035_label(value.lower())):
            yield invalid_value(f"{at}.{name}", value, MIXED_CASE + ",".join(errors))
    for i, value in enumerate(names.get("shortNames") or ()):
        if errors := dns1035_label(value):
            yield invalid_value(f"{at}.shortNames[{i}]", value, ",".join(errors))
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        yield invalid_value(f"{at}.listKind", names["listKind"], "kind and listKind may not be the same")
    for i, value in enumerate(names.get("categories") or ()):
        if errors := dns1035_label(value):
            yield invalid_value(f"{at}.categories[{i}]", value, ",".join(errors))


def has_status(version: Object) -> bool:
    return (version.get("subresources") or {}).get("status") is not None


def _version(version: Object, hoisted: Sequence[str], status: bool, at: str) -> Errors:
    name, warning = version.get("name") or "", version.get("deprecationWarning")
    if errors := dns1035_label(name):
        yield invalid_value(f"{at}.name", name, ",".join(errors))
    if warning is not None:
        yield from invalids(f"{at}.deprecationWarning", warning, _warning(warning, bool(version.get("deprecated"))))
    own = {name: value for name, value in version.items() if name not in hoisted}
    yield from _parts(own, status, f"{at}.schema", at, NO_OWN_SCHEMA)


def _hoisted(versions: Sequence[Object]) -> list[str]:
    """What all versions say alike: in the internal type, which is what is validated, it is said once for all."""
    return [name for name in PARTS if all(version.get(name) == versions[0].get(name) for version in versions)]


def _parts(version: Object, status: bool, schema_at: str, at: str, without: str) -> Errors:
    """`without`: what is said of selectable fields where there is no schema."""
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    if schema is not None:
        yield from validate_schema(schema, f"{schema_at}.openAPIV3Schema", status=status)
    yield from _scale((version.get("subresources") or {}).get("scale"), f"{at}.subresources.scale")
    for i, column in enumerate(version.get("additionalPrinterColumns") or ()):
        yield from _column(column, f"{at}.additionalPrinterColumns[{i}]")
    fields = version.get("selectableFields") or ()
    if fields and schema is None:
        yield invalid_value(f"{at}.selectableFields", "", without)
    elif schema is not None:
        yield from _selectable(fields, schema, f"{at}.selectableFields")


def _warning(text: str, deprecated: bool) -> list[str]:
    if not deprecated:
        return ["can only be set for deprecated versions"]
    errors = []
    if len(text.encode()) > 256:
        errors.append("must be <= 256 characters long")
    if not text:
        errors.append("must not be an empty string")
    bad = next((i for i, letter in enumerate(text) if not letter.isprintable()), None)
    if bad is not None:
        at = len(text[:bad].encode())
        errors.append(f"must only contain printable UTF-8 characters; non-printable character found at index {at}")
    return errors


def _path(text: str, at: str, under: tuple[str, ...], where: str) -> Errors:
    if not text.startswith("."):
        yield invalid_value(at, text, "must be a simple json path starting with .")
    elif not text.startswith(under):
        yield invalid_value(at, text, f"should be a json path under {where}")


def _scale(scale: Object | None, at: str) -> Errors:
    if scale is None:
        return
    for name, under in (("specReplicasPath", ".spec"), ("statusReplicasPath", ".status")):
        text = scale.get(name) or ""
        if not text:
            yield required(f"{at}.{name}")
        else:
            yield from _path(text, f"{at}.{name}", (f"{under}.",), under)
    if text := scale.get("labelSelectorPath"):
        yield from _path(text, f"{at}.labelSelectorPath", (".spec.", ".status."), "either .spec or .status")


def _column(column: Object, at: str) -> Errors:
    kind, form, path = (column.get(name) or "" for name in ("type", "format", "jsonPath"))
    if not column.get("name"):
        yield required(f"{at}.name")
    listed = f"must be one of {','.join(COLUMN_TYPES)}"
    if not kind:
        yield required(f"{at}.type", listed)
    elif kind not in COLUMN_TYPES:
        yield invalid_value(f"{at}.type", kind, listed)
    if form and form not in COLUMN_FORMATS:
        yield invalid_value(f"{at}.format", form, f"must be one of {','.join(COLUMN_FORMATS)}")
    if not path:
        yield required(f"{at}.JSONPath")
    elif not path.startswith("."):
        yield invalid_value(f"{at}.JSONPath", path, "must be a simple json path starting with .")


def _selectable(fields: Sequence[Object], schema: Object, at: str) -> Errors:
    seen: set[tuple[str, ...]] = set()
    for i, field in enumerate(fields):
        path, here = field.get("jsonPath") or "", f"{at}[{i}].jsonPath"
        if not path:
            yield required(here)
            continue
        try:
            names, part = _followed(path, schema)
        except ValueError as error:
            yield invalid_value(here, path, f"is an invalid path: {error}")
            continue
        if names[0] == "metadata":
            yield invalid_value(here, path, "must not point to fields in metadata")
        if part.get("type") not in ("string", "boolean", "integer"):
            yield invalid_value(here, path, NOT_SCALAR)
        if names in seen:
            yield duplicate(here, path)
        seen.add(names)
    if len(seen) > MAX_SELECTABLE:
        yield too_many(at, len(seen), MAX_SELECTABLE)


def _followed(path: str, schema: Object) -> tuple[tuple[str, ...], Object]:
    """The names in a path, and the schema of what it leads to. Raises ValueError in Kubernetes' words."""
    names, words = [], iter(re.findall(r"'(?:[^'\\]|\\.)*'|[.\[\]]|[^.\[\]]+", path))
    for word in words:
        if word == "[":
            raise ValueError("array notation is not allowed")
        if word != ".":
            raise ValueError(f"expected [ or . but got: {word}")
        if (name := next(words, None)) is None:
            raise ValueError("unexpected end of JSON path")
        others = schema.get("additionalProperties")
        part = (schema.get("properties") or {}).get(name) if schema.get("properties") is not None else others
        if not isinstance(part, dict):
            raise ValueError("does not refer to a valid field")
        schema = part
        names.append(name)
    return tuple(names), schema


def _conversion(conversion: Object, at: str) -> Errors:
    strategy, webhook = conversion.get("strategy") or "", conversion.get("webhook") or {}
    config, versions = webhook.get("clientConfig"), webhook.get("conversionReviewVersions") or []
    if not strategy:
        yield required(f"{at}.strategy")
    elif strategy not in ("None", "Webhook"):
        yield not_supported(f"{at}.strategy", strategy, ("None", "Webhook"))
    if strategy != "Webhook":
        for name, value in (("webhookClientConfig", config), ("conversionReviewVersions", versions)):
            if value:
                yield forbidden_value(f"{at}.{name}", "should not be set when strategy is not set to Webhook")
        return
    if config is None:
        yield required(f"{at}.webhookClientConfig", "required when strategy is set to Webhook")
    else:
        yield from validate_client_config(config, f"{at}.webhookClientConfig")
    at = f"{at}.conversionReviewVersions"
    if not versions:
        yield required(at)
        return
    for i, version in enumerate(versions):
        if version in versions[:i]:
            yield invalid_value(f"{at}[{i}]", version, "duplicate version")
        else:
            yield from invalids(f"{at}[{i}]", version, dns1035_label(version))
    if not {*REVIEW_VERSIONS} & {*versions}:
        yield invalid_value(at, versions, f"must include at least one of {', '.join(REVIEW_VERSIONS)}")


def _bundle_of(spec: Object) -> str:
    webhook = (spec.get("conversion") or {}).get("webhook") or {}
    return (webhook.get("clientConfig") or {}).get("caBundle") or ""


def _may_have_any_bundle(old: Object) -> bool:
    """A definition may be created with a bad bundle (it isn't served then), but not be given one while it is served."""
    bundle = _bundle_of(old.get("spec") or {})
    if not condition_is((old.get("status") or {}).get("conditions"), "Established"):
        return True
    return bool(bundle) and any(_bundle(bundle, ""))


def _bundle(bundle: str, at: str) -> Errors:
    if bundle and (flaw := authorities_flaw(bundle)):
        yield invalid_value(at, bundle, f"unable to load root certificates: {flaw}")


def _stored(stored: Sequence[str], versions: Sequence[Object]) -> Errors:
    """Versions that objects may still be stored in can't go."""
    at, known = "status.storedVersions", {version.get("name") for version in versions}
    if not stored:
        yield invalid_value(at, list(stored), "must have at least one stored version")
        return
    for version in versions:
        if version.get("storage") and version.get("name") not in stored:
            yield invalid_value(at, list(stored), f"must have the storage version {version.get('name')}")
    for i, name in enumerate(stored):
        if name not in known:
            why = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in "
                f"spec.versions until a storage migration ensures no data remains persisted in {name} and removes "
                f"{name} from status.storedVersions"
            )
            yield invalid_value(f"{at}[{i}]", name, why)


def _approval_state(obj: Object) -> str:
    value = (obj["metadata"].get("annotations") or {}).get(APPROVAL)
    if not value:
        return "missing"
    if value.startswith("unapproved"):
        return "bypassed"
    try:
        parts = urlsplit(value)
    except ValueError:
        return "invalid"
    return "approved" if parts.scheme and parts.netloc else "invalid"


def _approval(obj: Object, group: str) -> Errors:
    """Kubernetes' own groups are Kubernetes' own."""
    protected = any(group == domain or group.endswith(f".{domain}") for domain in ("k8s.io", "kubernetes.io"))
    value = (obj["metadata"].get("annotations") or {}).get(APPROVAL)
    at = f"metadata.annotations[{APPROVAL}]"
    link = "https://github.com/kubernetes/enhancements/pull/1111"
    if not protected or _approval_state(obj) in ("approved", "bypassed"):
        return
    if not value:
        yield required(at, f'protected groups must have approval annotation "{APPROVAL}", see {link}')
    else:
        why = f'protected groups must have approval annotation "{APPROVAL}" with either a URL or a reason starting with'
        yield invalid_value(at, value, f'{why} "unapproved", see {link}')
