"""What can be wrong with a CustomResourceDefinition, and with changing one. Paths, order and wording are those of
apiextensions-apiserver's validation; conversion's are those of its internal type."""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from kubrick_api.conditions import condition_is
from kubrick_api.errors import FieldError, forbidden_value, invalid_value, not_supported, required
from kubrick_api.formats import dns1035_label, invalids
from kubrick_api.resource import Object
from kubrick_api.validation import IMMUTABLE, subdomain
from kubrick_api.webhooks import validate_client_config
from kubrick_api_apiextensions.authorities import authorities_flaw
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
_STEP = r"(\.[A-Za-z_][A-Za-z0-9_-]*|\[[^\]]+\])+"


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
    fixed = [
        ("group", spec.get("group"), was.get("group")),
        ("names.plural", names.get("plural"), before.get("plural")),
    ]
    if condition_is((old.get("status") or {}).get("conditions"), "Established"):
        fixed += [("scope", spec.get("scope"), was.get("scope")), ("names.kind", names.get("kind"), before.get("kind"))]
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
        yield from _version(version, hoisted, f"spec.versions[{i}]")
    names = [version.get("name") for version in versions]
    if len(names) != len({*names}):
        yield invalid_value("spec.versions", versions, "must contain unique version names")
    if sum(bool(version.get("storage")) for version in versions) != 1:
        yield invalid_value("spec.versions", versions, ONE_STORED)
    for name in ("plural", "singular", "kind", "listKind"):
        if not (spec.get("names") or {}).get(name):
            yield required(f"spec.names.{name}")
    yield from validate_names(spec.get("names") or {}, "spec.names")
    if versions:
        yield from _parts({name: versions[0].get(name) for name in hoisted}, "spec.validation", "spec")
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


def _version(version: Object, hoisted: Sequence[str], at: str) -> Errors:
    name, warning = version.get("name") or "", version.get("deprecationWarning")
    if errors := dns1035_label(name):
        yield invalid_value(f"{at}.name", name, ",".join(errors))
    if warning is not None:
        yield from invalids(f"{at}.deprecationWarning", warning, _warning(warning, bool(version.get("deprecated"))))
    yield from _parts({name: value for name, value in version.items() if name not in hoisted}, f"{at}.schema", at)


def _hoisted(versions: Sequence[Object]) -> list[str]:
    """What all versions say alike: in the internal type, which is what is validated, it is said once for all."""
    return [name for name in PARTS if all(version.get(name) == versions[0].get(name) for version in versions)]


def _parts(version: Object, schema_at: str, at: str) -> Errors:
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    if schema is not None:
        yield from validate_schema(schema, f"{schema_at}.openAPIV3Schema")
    yield from _scale((version.get("subresources") or {}).get("scale"), f"{at}.subresources.scale")
    for i, column in enumerate(version.get("additionalPrinterColumns") or ()):
        yield from _column(column, f"{at}.additionalPrinterColumns[{i}]")
    yield from _selectable(version.get("selectableFields") or (), f"{at}.selectableFields")


def _warning(text: str, deprecated: bool) -> list[str]:
    errors = [] if deprecated else ["can only be set for deprecated versions"]
    if len(text) > 256:
        errors.append("must be <= 256 characters long")
    if not text:
        errors.append("must not be an empty string")
    bad = next((i for i, letter in enumerate(text) if not letter.isprintable()), None)
    if bad is not None:
        errors.append(f"must only contain printable UTF-8 characters; non-printable character found at index {bad}")
    return errors


def _path(text: str, at: str, under: tuple[str, ...], where: str) -> Errors:
    if not text.startswith(".") or not re.fullmatch(_STEP, text):
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


def _selectable(fields: Sequence[Object], at: str) -> Errors:
    seen: set[str] = set()
    for i, field in enumerate(fields):
        path = field.get("jsonPath") or ""
        if not path:
            yield required(f"{at}[{i}].jsonPath")
        elif not re.fullmatch(r"(\.[A-Za-z_][A-Za-z0-9_]*)+", path):
            yield invalid_value(f"{at}[{i}].jsonPath", path, "is an invalid path: must be a simple path of fields")
        elif path in seen:
            yield FieldError("FieldValueDuplicate", f"{at}[{i}].jsonPath", f'Duplicate value: "{path}"')
        seen.add(path)
    if len(fields) > MAX_SELECTABLE:
        why = f"Too many: {len(fields)}: must have at most {MAX_SELECTABLE} items"
        yield FieldError("FieldValueTooMany", at, why)


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
        yield invalid_value(at, ",".join(versions), f"must include at least one of {', '.join(REVIEW_VERSIONS)}")


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
