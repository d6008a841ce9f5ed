"""Webhook configurations: defaults, validation, rows. Paths, order and wording are those of
pkg/apis/admissionregistration/validation; a configuration that was lenient before such rules may stay so."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from attrs import frozen

from kubrick_api.cells import age
from kubrick_api.equality import same
from kubrick_api.errors import FieldError, duplicate, invalid_value, not_supported, required
from kubrick_api.formats import dns1035_label, fully_qualified_name, invalids
from kubrick_api.resource import Object, Strategy
from kubrick_api.storage import WriteContext
from kubrick_api.validation import label_selector
from kubrick_api.webhooks import validate_client_config
from kubrick_api_admissionregistration.expressions import Scope
from kubrick_api_admissionregistration.matching import (
    FAILURE_POLICIES,
    MATCH_POLICIES,
    REINVOCATION_POLICIES,
    chosen,
    validate_match_conditions,
    validate_rule,
)

Errors = Iterator[FieldError]

REVIEW_VERSIONS = ("v1", "v1beta1")
NO_SIDE_EFFECTS = ("None", "NoneOnDryRun")
SELECTORS = ("namespaceSelector", "objectSelector")
SIDE_EFFECTS = ("None", "NoneOnDryRun", "Some", "Unknown")


@frozen
class _Strictness:
    """What new configurations must keep to; an old one that didn't sets its flag to False."""

    no_side_effects: bool = True
    known_versions: bool = True
    unique_names: bool = True
    conditions: bool = True
    label_values: bool = True


def _strictness(webhooks: Sequence[Object], old: Sequence[Object]) -> _Strictness:
    names = [hook.get("name") or "" for hook in old]
    versions = [hook["admissionReviewVersions"] for hook in old if hook.get("admissionReviewVersions")]
    before, now = ([hook.get("matchConditions") for hook in hooks] for hooks in (old, webhooks))
    return _Strictness(
        all(hook.get("sideEffects") in NO_SIDE_EFFECTS for hook in old),
        all({*REVIEW_VERSIONS} & {*known} for known in versions),
        len(names) == len({*names}),
        not same(now, before),
        not any(label_selector(hook.get(name), "") for hook in old for name in SELECTORS),
    )


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
        return list(_webhooks(obj.get("webhooks") or (), self.mutating, _Strictness()))

    def validate_replacement(self, obj: Object, old: Object) -> list[FieldError]:
        webhooks = obj.get("webhooks") or ()
        return list(_webhooks(webhooks, self.mutating, _strictness(webhooks, old.get("webhooks") or ())))

    def prepare_for_update(self, obj: Object, old: Object, context: WriteContext) -> None:
        """There is no spec: the webhooks are what generations count."""
        generation = old["metadata"].get("generation", 1)
        changed = obj.get("webhooks") != old.get("webhooks")
        obj["metadata"]["generation"] = generation + 1 if changed else generation

    def row(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], len(obj.get("webhooks") or ()), age(obj, now)]


def _webhooks(webhooks: Sequence[Object], mutating: bool, strict: _Strictness) -> Errors:
    names: set[str] = set()
    for i, webhook in enumerate(webhooks):
        at, name = f"webhooks[{i}]", webhook.get("name") or ""
        yield from _webhook(webhook, mutating, strict, at)
        versions = webhook.get("admissionReviewVersions") or []
        yield from _review_versions(versions, strict.known_versions, f"{at}.admissionReviewVersions")
        if strict.unique_names and name:
            if name in names:
                yield duplicate(f"{at}.name", name)
            names.add(name)


def _webhook(webhook: Object, mutating: bool, strict: _Strictness, at: str) -> Errors:
    yield from fully_qualified_name(webhook.get("name") or "", f"{at}.name")
    for j, rule in enumerate(webhook.get("rules") or ()):
        yield from validate_rule(rule, f"{at}.rules[{j}]")
    yield from chosen(webhook.get("failurePolicy"), FAILURE_POLICIES, f"{at}.failurePolicy", needed=False)
    yield from chosen(webhook.get("matchPolicy"), MATCH_POLICIES, f"{at}.matchPolicy", needed=False)
    allowed, effects = NO_SIDE_EFFECTS if strict.no_side_effects else SIDE_EFFECTS, webhook.get("sideEffects")
    if effects is None:
        yield required(f"{at}.sideEffects", f"must specify one of {', '.join(allowed)}")
    elif effects not in allowed:
        yield not_supported(f"{at}.sideEffects", effects, allowed)
    seconds = webhook.get("timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= 30:
        yield invalid_value(f"{at}.timeoutSeconds", seconds, "the timeout value must be between 1 and 30 seconds")
    for name in SELECTORS:
        yield from label_selector(webhook.get(name), f"{at}.{name}", any_value=not strict.label_values)
    if mutating:
        policy = webhook.get("reinvocationPolicy")
        yield from chosen(policy, REINVOCATION_POLICIES, f"{at}.reinvocationPolicy", needed=False)
    yield from validate_client_config(webhook.get("clientConfig") or {}, f"{at}.clientConfig")
    if strict.conditions:
        yield from validate_match_conditions(webhook.get("matchConditions") or (), Scope(), f"{at}.matchConditions")


def _review_versions(versions: Sequence[str], known: bool, at: str) -> Errors:
    listed = ", ".join(REVIEW_VERSIONS)
    if not versions:
        yield required(at, f"must specify one of {listed}")
        return
    for i, version in enumerate(versions):
        if version in versions[:i]:
            yield invalid_value(f"{at}[{i}]", version, "duplicate version")
        else:
            yield from invalids(f"{at}[{i}]", version, dns1035_label(version))
    if known and not {*REVIEW_VERSIONS} & {*versions}:
        yield invalid_value(at, list(versions), f"must include at least one of {listed}")
