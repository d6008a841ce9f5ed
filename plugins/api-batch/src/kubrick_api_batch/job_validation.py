"""What can be wrong with a job, or with a CronJob's template of jobs, and with changing one.

Paths, order and wording are those of pkg/apis/batch/validation.
"""

from collections.abc import Iterator
from typing import Any

from kubrick_api.conditions import condition_is
from kubrick_api.equality import same
from kubrick_api.errors import (
    NIL,
    FieldError,
    duplicate,
    invalid_unseen,
    invalid_value,
    not_supported,
    required,
    show,
    too_long,
    too_many,
)
from kubrick_api.formats import domain_prefixed_path, invalids
from kubrick_api.resource import Object
from kubrick_api.selectors import SelectorError, from_label_selector
from kubrick_api.validation import IMMUTABLE, label, label_selector, non_negative, qualified_name
from kubrick_api_batch.indexes import IndexesError, count_indexes
from kubrick_api_batch.internal import failure_policy, success_policy
from kubrick_api_core.pod_validation import validate_pod_template

Errors = Iterator[FieldError]

UID_LABEL, NAME_LABEL = "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"
OLD_UID_LABEL, OLD_NAME_LABEL = "controller-uid", "job-name"
COUNTS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)
MODES = ("NonIndexed", "Indexed")
MAX_PARALLELISM = MAX_FAILED = MANY = 100_000
PARALLELISM_FOR_MANY = FAILED_FOR_MANY = 10_000
MAX_RULES = MAX_PATTERNS = MAX_SUCCESS_RULES = 20
MAX_EXIT_CODES = 255
MAX_INDEXES_TEXT = 64 * 1024
ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
OPERATORS = ("In", "NotIn")
STATUSES = ("False", "True", "Unknown")
INDEXED_ONLY = "requires indexed completion mode"
FIXED = ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy")
SHOWN = {"podFailurePolicy": failure_policy, "successPolicy": success_policy}


def validate_job(job: Object, prefixed_labels: bool = True, old: Object | None = None) -> Errors:
    """`prefixed_labels`: the template must have the labels with Kubernetes' prefix, too; `old` is the spec that
    this one replaces."""
    spec = job.get("spec") or {}
    yield from _generated(job, spec, prefixed_labels)
    yield from validate_selected_spec(spec, "spec", old)
    completions = spec.get("completions") or 0
    if spec.get("completionMode") == "Indexed" and completions > 0:
        name = job["metadata"].get("name") or ""
        hostname = f"{name}-{completions - 1}"
        if label(hostname):
            why = f"will not able to create pod with invalid DNS label: {hostname}"
            yield invalid_value("metadata.name", name, why)


def _generated(job: Object, spec: Object, prefixed: bool) -> Errors:
    """Unless it is manual, the selector picks out this job's pods by its uid."""
    if spec.get("manualSelector") or spec.get("selector") is None:
        return
    uid, name = job["metadata"].get("uid") or "", job["metadata"].get("name") or ""
    if not uid:
        yield required("metadata.uid")
    own = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    wanted = {OLD_UID_LABEL: uid, OLD_NAME_LABEL: name}
    if prefixed:
        wanted |= {UID_LABEL: uid, NAME_LABEL: name}
    at = "spec.template.metadata.labels"
    for key, value in wanted.items():
        if key not in own:
            yield required(f"{at}[{key}]", f"must be '{value}'")
        elif own[key] != value:
            yield invalid_value(f"{at}[{key}]", own, f"must be '{value}'")
    try:
        matches = from_label_selector(spec["selector"]).matches(wanted)
    except SelectorError:
        return
    if not matches:
        yield invalid_value("spec.selector", spec["selector"], "`selector` not auto-generated")


def validate_selected_spec(spec: Object, path: str, old: Object | None = None) -> Errors:
    """A Job's spec, with its selector."""
    yield from validate_job_spec(spec, path, old)
    selector = spec.get("selector")
    if selector is None:
        yield required(f"{path}.selector")
    else:
        yield from label_selector(selector, f"{path}.selector", any_value=_any_value((old or {}).get("selector")))
    own = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    try:
        matches = from_label_selector(selector).matches(own or {})
    except SelectorError:
        return
    if not matches:
        why = "`selector` does not match template `labels`"
        yield invalid_value(f"{path}.template.metadata.labels", own or NIL, why)


def _any_value(selector: Object | None) -> bool:
    """Whether an old selector has values that are no label values: its successor may, too."""
    return label_selector(selector, "") != label_selector(selector, "", any_value=True)


def validate_job_spec(spec: Object, path: str, old: Object | None = None) -> Errors:
    """What a Job and a CronJob's template must keep to; a selector is the Job's own affair."""
    for name in COUNTS:
        if spec.get(name) is not None:
            yield from non_negative(spec[name], f"{path}.{name}")
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        yield required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified")
    if (manager := spec.get("managedBy")) is not None:
        yield from domain_prefixed_path(manager, f"{path}.managedBy")
        if len(manager) > 63:
            yield too_long(f"{path}.managedBy", 63)
    yield from _mode(spec, path)
    if spec.get("podFailurePolicy") is not None:
        yield from _failure_policy(spec, f"{path}.podFailurePolicy")
    if spec.get("successPolicy") is not None:
        if spec.get("completionMode") != "Indexed":
            yield invalid_value(f"{path}.successPolicy", success_policy(spec["successPolicy"]), INDEXED_ONLY)
        else:
            yield from _success_policy(spec, f"{path}.successPolicy")
    yield from _replacement(spec, f"{path}.podReplacementPolicy")
    before = None if old is None else old.get("template") or {}
    yield from validate_pod_template(spec.get("template") or {}, f"{path}.template", before)
    yield from _restart_policy(spec, f"{path}.template.spec.restartPolicy")


def _mode(spec: Object, path: str) -> Errors:
    mode = spec.get("completionMode")
    if mode is not None and mode not in MODES:
        yield not_supported(f"{path}.completionMode", mode, MODES)
    if mode == "Indexed":
        yield from _indexed(spec, path)
    elif mode in (None, "NonIndexed"):
        for name in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if spec.get(name) is not None:
                yield invalid_value(f"{path}.{name}", spec[name], INDEXED_ONLY)


def _indexed(spec: Object, path: str) -> Errors:
    completions, failed = spec.get("completions"), spec.get("maxFailedIndexes")
    parallelism = spec.get("parallelism") or 0
    if completions is None:
        yield required(f"{path}.completions", "when completion mode is Indexed")
    if parallelism > MAX_PARALLELISM:
        why = f"must be less than or equal to {MAX_PARALLELISM} when completion mode is Indexed"
        yield invalid_value(f"{path}.parallelism", parallelism, why)
    if completions is not None and failed is not None and failed > completions:
        yield invalid_value(f"{path}.maxFailedIndexes", failed, "must be less than or equal to completions")
    if failed is not None and failed > MAX_FAILED:
        yield invalid_value(f"{path}.maxFailedIndexes", failed, f"must be less than or equal to {MAX_FAILED}")
    if (completions or 0) > MANY and spec.get("backoffLimitPerIndex") is not None:
        tail = f"when completions are above {MANY} and used with backoff limit per index"
        if failed is None:
            yield required(f"{path}.maxFailedIndexes", f"must be specified when completions is above {MANY}")
        for name, value, limit in (
            ("parallelism", parallelism, PARALLELISM_FOR_MANY),
            ("maxFailedIndexes", failed or 0, FAILED_FOR_MANY),
        ):
            if value > limit:
                yield invalid_value(f"{path}.{name}", value, f"must be less than or equal to {limit} {tail}")


def _restart_policy(spec: Object, path: str) -> Errors:
    policy = ((spec.get("template") or {}).get("spec") or {}).get("restartPolicy")
    if not policy or policy == "Always":
        yield required(path, 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        yield not_supported(path, policy, ("OnFailure", "Never"))
    elif spec.get("podFailurePolicy") is not None and policy != "Never":
        yield invalid_value(path, policy, 'only "Never" is supported when podFailurePolicy is specified')


def _replacement(spec: Object, path: str) -> Errors:
    policy = spec.get("podReplacementPolicy")
    choices = ("Failed",) if spec.get("podFailurePolicy") is not None else ("Failed", "TerminatingOrFailed")
    if policy is not None and policy not in choices:
        yield not_supported(path, policy, choices)


def _valid(choices: tuple[str, ...]) -> str:
    return f"valid values: [{' '.join(show(choice) for choice in choices)}]"


def _choice(value: str, choices: tuple[str, ...], path: str) -> Errors:
    if not value:
        yield required(path, _valid(choices))
    elif value not in choices:
        yield not_supported(path, value, choices)


def _failure_policy(spec: Object, path: str) -> Errors:
    rules = (spec["podFailurePolicy"] or {}).get("rules") or ()
    if len(rules) > MAX_RULES:
        yield too_many(f"{path}.rules", len(rules), MAX_RULES)
    pods = (spec.get("template") or {}).get("spec") or {}
    names = {c.get("name") for kind in ("containers", "initContainers") for c in pods.get(kind) or ()}
    for i, rule in enumerate(rules):
        yield from _failure_rule(spec, rule, f"{path}.rules[{i}]", names)


def _failure_rule(spec: Object, rule: Object, path: str, containers: set[Any]) -> Errors:
    action = rule.get("action") or ""
    if action == "FailIndex":
        if spec.get("backoffLimitPerIndex") is None:
            yield invalid_value(f"{path}.action", action, "requires the backoffLimitPerIndex to be set")
    else:
        yield from _choice(action, ACTIONS, f"{path}.action")
    codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions") or ()
    if codes is not None:
        yield from _exit_codes(codes, f"{path}.onExitCodes", containers)
    if len(conditions) > MAX_PATTERNS:
        yield too_many(f"{path}.onPodConditions", len(conditions), MAX_PATTERNS)
    for i, pattern in enumerate(conditions):
        at, kind = f"{path}.onPodConditions[{i}]", pattern.get("type") or ""
        yield from invalids(f"{at}.type", kind, qualified_name(kind))
        yield from _choice(pattern.get("status") or "", STATUSES, f"{at}.status")
    if codes is not None and conditions:
        yield invalid_unseen(path, "specifying both OnExitCodes and OnPodConditions is not supported")
    elif codes is None and not conditions:
        yield invalid_unseen(path, "specifying one of OnExitCodes and OnPodConditions is required")


def _exit_codes(codes: Object, path: str, containers: set[Any]) -> Errors:
    operator, given, at = codes.get("operator") or "", codes.get("values"), f"{path}.values"
    values = given or []
    yield from _choice(operator, OPERATORS, f"{path}.operator")
    container = codes.get("containerName")
    if container is not None and container not in containers:
        why = "must be one of the container or initContainer names in the pod template"
        yield invalid_value(f"{path}.containerName", container, why)
    if not values:
        yield invalid_value(at, NIL if given is None else given, "at least one value is required")
    elif len(values) > MAX_EXIT_CODES:
        yield too_many(at, len(values), MAX_EXIT_CODES)
    for i, value in enumerate(values):
        if operator == "In" and value == 0:
            yield invalid_value(f"{at}[{i}]", value, "must not be 0 for the In operator")
        if value in values[:i]:
            yield duplicate(f"{at}[{i}]", value)
    if values != sorted(values):
        yield invalid_value(at, values, "must be ordered")


def _success_policy(spec: Object, path: str) -> Errors:
    rules = (spec["successPolicy"] or {}).get("rules") or ()
    if not rules:
        yield required(f"{path}.rules", "at least one rules must be specified when the successPolicy is specified")
    if len(rules) > MAX_SUCCESS_RULES:
        yield too_many(f"{path}.rules", len(rules), MAX_SUCCESS_RULES)
    for i, rule in enumerate(rules):
        yield from _success_rule(rule, spec.get("completions") or 0, f"{path}.rules[{i}]")


def _success_rule(rule: Object, completions: int, path: str) -> Errors:
    wanted, text = rule.get("succeededCount"), rule.get("succeededIndexes")
    total = 0
    if wanted is None and text is None:
        yield required(path, "at least one of succeededCount or succeededIndexes must be specified")
    if text is not None:
        if len(text) > MAX_INDEXES_TEXT:
            yield too_long(f"{path}.succeededIndexes", MAX_INDEXES_TEXT)
        try:
            total = count_indexes(text, completions)
        except IndexesError as error:
            yield invalid_value(f"{path}.succeededIndexes", text, f"error parsing succeededIndexes: {error}")
    if wanted is not None:
        at, head = f"{path}.succeededCount", "must be less than or equal to"
        yield from non_negative(wanted, at)
        if wanted > completions:
            yield invalid_value(at, wanted, f"{head} {completions} (the number of specified completions)")
        if text is not None and wanted > total:
            tail = "(the number of indexes in the specified succeededIndexes field)"
            yield invalid_value(at, wanted, f"{head} {total} {tail}")


# Updates


def validate_job_update(job: Object, old: Object) -> Errors:
    """The change alone."""
    spec, before = job.get("spec") or {}, old.get("spec") or {}
    yield from _completions(spec, before)
    yield from _immutable(spec, before, "selector")
    yield from _template(spec, before, (old.get("status") or {}))
    for name in FIXED:
        yield from _immutable(spec, before, name)


def _immutable(spec: Object, before: Object, name: str) -> Errors:
    value = spec.get(name)
    if not same(value, before.get(name)):
        yield invalid_value(f"spec.{name}", SHOWN[name](value) if name in SHOWN else value, IMMUTABLE)


def _completions(spec: Object, before: Object) -> Errors:
    """An Indexed job grows and shrinks, completions and parallelism together."""
    if spec.get("completionMode") != "Indexed":
        yield from _immutable(spec, before, "completions")
        return
    completions = spec.get("completions")
    if completions in (None, before.get("completions")) or completions == spec.get("parallelism"):
        return
    yield invalid_value("spec.completions", completions, "can only be modified in tandem with spec.parallelism")


def _template(spec: Object, before: Object, status: Object) -> Errors:
    """While a job is suspended and has no pods, where they will go and what they will need may change: by 1.36
    both MutableSchedulingDirectivesForSuspendedJobs and MutablePodResourcesForSuspendedJobs are on."""
    template, old = spec.get("template") or {}, before.get("template") or {}
    unstarted = status.get("startTime") is None or condition_is(status.get("conditions"), "Suspended")
    if not (before.get("suspend") and unstarted and not status.get("active")):
        if not same(template, old):
            yield invalid_value("spec.template", template, IMMUTABLE)
        return
    new, was = template.get("spec") or {}, old.get("spec") or {}
    if not same(_without_directives(new), _without_directives(was)):
        yield invalid_value("spec.template.spec", new, IMMUTABLE)


def _without_directives(spec: Object) -> Object:
    """A pod spec without node selection, tolerations, gates and resources."""
    kept = {
        name: value for name, value in spec.items() if name not in ("nodeSelector", "tolerations", "schedulingGates")
    }
    kept["affinity"] = {name: v for name, v in (spec.get("affinity") or {}).items() if name != "nodeAffinity"}
    for kind in ("containers", "initContainers"):
        kept[kind] = [{n: v for n, v in c.items() if n != "resources"} for c in spec.get(kind) or ()]
    return kept
