"""Webhook configurations and admission policies: defaults, the main rules, rows."""

from datetime import datetime
from typing import Any

from kubrick_api.cells import age
from kubrick_api.errors import FieldError, invalid_value, not_supported, required
from kubrick_api.resource import Object, Strategy
from kubrick_api.storage import WriteContext

UNSET = "<unset>"
SIDE_EFFECTS = ("None", "NoneOnDryRun")


class WebhookConfigurationStrategy(Strategy):
    """Both kinds; only mutating webhooks have a reinvocation policy."""

    tracks_generation = True

    def __init__(self, mutating: bool) -> None:
        self.mutating = mutating

    def default(self, obj: Object) -> None:
        for webhook in obj.get("webhooks") or ():
            for name, value in (
                ("failurePolicy", "Fail"),
                ("matchPolicy", "Equivalent"),
                ("namespaceSelector", {}),
                ("objectSelector", {}),
                ("timeoutSeconds", 10),
                *((("reinvocationPolicy", "Never"),) if self.mutating else ()),
            ):
                if webhook.get(name) is None:
                    webhook[name] = dict(value) if isinstance(value, dict) else value
            service = (webhook.get("clientConfig") or {}).get("service")
            if service is not None and service.get("port") is None:
                service["port"] = 443
            for rule in webhook.get("rules") or ():
                if rule.get("scope") is None:
                    rule["scope"] = "*"

    def validate(self, obj: Object) -> list[FieldError]:
        errors = []
        for i, webhook in enumerate(obj.get("webhooks") or ()):
            at = f"webhooks[{i}]"
            if len((webhook.get("name") or "").split(".")) < 3:
                errors.append(required(f"{at}.name") if not webhook.get("name") else _unqualified(webhook["name"], at))
            if webhook.get("sideEffects") not in SIDE_EFFECTS:
                errors.append(_side_effects(webhook.get("sideEffects"), at))
            if not webhook.get("admissionReviewVersions"):
                why = "must specify one of v1, v1beta1"
                errors.append(required(f"{at}.admissionReviewVersions", why))
            config = webhook.get("clientConfig") or {}
            if (config.get("url") is None) == (config.get("service") is None):
                errors.append(required(f"{at}.clientConfig", "exactly one of url or service is required"))
        return errors

    def prepare_for_update(self, obj: Object, old: Object, context: WriteContext) -> None:
        """There is no spec: the webhooks are what generations count."""
        generation = old["metadata"].get("generation", 1)
        changed = obj.get("webhooks") != old.get("webhooks")
        obj["metadata"]["generation"] = generation + 1 if changed else generation

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], len(obj.get("webhooks") or ()), age(obj, now)]


def _unqualified(name: str, at: str) -> FieldError:
    return invalid_value(f"{at}.name", name, "should be a domain with at least three segments separated by dots")


def _side_effects(value: str | None, at: str) -> FieldError:
    if value is None:
        return required(f"{at}.sideEffects", "must specify one of None, NoneOnDryRun")
    return not_supported(f"{at}.sideEffects", value, SIDE_EFFECTS)


def _default_match(resources: Object | None) -> None:
    if resources is not None:
        for name, value in (("matchPolicy", "Equivalent"), ("namespaceSelector", {}), ("objectSelector", {})):
            if resources.get(name) is None:
                resources[name] = value


class PolicyStrategy(Strategy):
    """ValidatingAdmissionPolicy and MutatingAdmissionPolicy; `work` names what they do."""

    tracks_generation = True

    def __init__(self, work: str) -> None:
        self.work = work

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if spec.get("failurePolicy") is None:
            spec["failurePolicy"] = "Fail"
        match = spec.get("matchConstraints")
        _default_match(match)
        for rule in (match or {}).get("resourceRules") or ():
            if rule.get("scope") is None:
                rule["scope"] = "*"

    def validate(self, obj: Object) -> list[FieldError]:
        spec = obj.get("spec") or {}
        errors = [] if spec.get("matchConstraints") else [required("spec.matchConstraints")]
        if not spec.get(self.work) and not spec.get("auditAnnotations"):
            why = "validations or auditAnnotations must contain at least one item"
            errors.append(required(f"spec.{self.work}", why if self.work == "validations" else ""))
        return errors

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec = obj.get("spec") or {}
        kind = spec.get("paramKind")
        text = f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else UNSET
        return [obj["metadata"]["name"], len(spec.get(self.work) or ()), text, age(obj, now)]


class PolicyBindingStrategy(Strategy):
    tracks_generation = True

    def default(self, obj: Object) -> None:
        _default_match(obj.setdefault("spec", {}).get("matchResources"))

    def validate(self, obj: Object) -> list[FieldError]:
        return [] if (obj.get("spec") or {}).get("policyName") else [required("spec.policyName")]

    def row(self, obj: Object, now: datetime) -> list[Any]:
        spec = obj.get("spec") or {}
        reference = spec.get("paramRef")
        text = UNSET
        if reference:
            text = f"{reference.get('namespace') or '*'}/{reference.get('name') or '*'}"
        return [obj["metadata"]["name"], spec.get("policyName") or "", text, age(obj, now)]
