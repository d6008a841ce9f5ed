"""What the server counts of requests; `kubrick_apiserver.exposition` shows it.

Counting happens on the way of every request, so it is a dictionary look-up and a few additions. Only
resources that exist get labels of their own: strangers can't make the server count without end.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable

from attrs import define, field

from kubrick_api.names import GVR
from kubrick_apiserver.web import Request, RequestInfo

DURATIONS = tuple(
    float(bound)
    for bound in "0.005 0.025 0.05 0.1 0.2 0.4 0.6 0.8 1 1.25 1.5 2 3 4 5 6 8 10 15 20 30 45 60".split()  # noqa: SIM905
)
SIZES = (1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)
VERBS = {
    "get": "GET",
    "list": "LIST",
    "watch": "WATCH",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "apply": "APPLY",
    "delete": "DELETE",
    "deletecollection": "DELETECOLLECTION",
    "post": "POST",
    "put": "PUT",
    "head": "HEAD",
    "options": "OPTIONS",
}
PATHS = frozenset(
    ("/healthz", "/livez", "/readyz", "/version", "/metrics", "/api", "/apis", "/openapi/v2", "/openapi/v3")
)
APPLY = "application/apply-patch+"
CONNECTS = frozenset(("exec", "attach", "portforward", "proxy"))
WATCH_LISTS = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0)
ADMISSIONS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5)
DEPRECATED = {("", "v1", "componentstatuses"): "", ("", "v1", "endpoints"): ""}
"""Deprecated APIs that are served, and the release that will not have them any more, if it is known."""
SYSTEM_CLIENTS = {
    "system:kube-controller-manager": "kube-controller-manager",
    "system:kube-scheduler": "kube-scheduler",
}
Labels = tuple[str, ...]


class Histogram:
    """How many values there were up to each bound, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@define(eq=False)
class Series:
    """Everything counted for one combination of verb, group, version, resource, subresource and scope."""

    labels: Labels
    codes: dict[tuple[int, str, str], int] = field(factory=dict)
    """By (code, dry run, system client)."""
    durations: dict[str, Histogram] = field(factory=dict)
    """By dry run."""
    sizes: Histogram = field(factory=lambda: Histogram(SIZES))
    open: int = 0


class RequestMetrics:
    """Counts requests. `known` says whether a resource exists."""

    def __init__(self, known: Callable[[GVR, str], bool] = lambda resource, subresource: True) -> None:
        self._known = known
        self._series: dict[tuple[str, str, str, str, str, bool, bool], Series] = {}
        self.deprecated: set[tuple[str, str, str, str]] = set()
        """Group, version, resource and subresource of deprecated APIs that were asked for."""
        self.watch_lists: dict[tuple[str, str, str, str], Histogram] = {}
        """How long it took until a watch had its initial state, by group, version, resource and scope."""

    def observe(self, request: Request, code: int, seconds: float, size: int) -> None:
        """One request was answered (or, for a stream, begun)."""
        info = request.info
        verb = info.verb
        if verb == "patch" and request.headers.get("content-type", "").startswith(APPLY):
            verb = "apply"
        series = self._find(info, verb)
        dry_run = ""
        if "dryRun" in request.query:
            dry_run = "All" if request.query["dryRun"] == "All" else "invalid"
        key = code, dry_run, SYSTEM_CLIENTS.get(request.user.name, "")
        series.codes[key] = series.codes.get(key, 0) + 1
        if verb != "watch":
            durations = series.durations.get(dry_run)
            if durations is None:
                durations = series.durations[dry_run] = Histogram(DURATIONS)
            durations.add(seconds)
            series.sizes.add(size)

    def watch_list(self, info: RequestInfo, seconds: float) -> None:
        """A watch that was asked for it has the initial state ready to be sent."""
        key = info.group, info.version, info.resource, scope(info)
        durations = self.watch_lists.get(key)
        if durations is None:
            durations = self.watch_lists[key] = Histogram(WATCH_LISTS)
        durations.add(seconds)

    def long_running(self, info: RequestInfo, change: int) -> None:
        """A streamed answer began (1) or ended (-1)."""
        self._find(info, info.verb).open += change

    def series(self) -> Iterable[Series]:
        return self._series.values()

    def _find(self, info: RequestInfo, verb: str) -> Series:
        key = verb, info.group, info.version, info.resource, info.subresource, not info.namespace, not info.name
        found = self._series.get(key)
        return found or self._add(info, key)

    def _add(self, info: RequestInfo, key: tuple[str, str, str, str, str, bool, bool]) -> Series:
        verb = "CONNECT" if info.subresource in CONNECTS else VERBS.get(key[0], "other")
        if info.resource_request and self._known(GVR(info.group, info.version, info.resource), info.subresource):
            labels: Labels = (verb, info.group, info.version, info.resource, info.subresource, scope(info))
            if (info.group, info.version, info.resource) in DEPRECATED:
                self.deprecated.add((info.group, info.version, info.resource, info.subresource))
        else:
            key = verb, "", "", "", info.path if info.path in PATHS else "", True, True
            labels = (*key[:5], "")
        found = self._series.get(key)
        if found is None:
            found = self._series[key] = Series(labels)
        return found


def scope(info: RequestInfo) -> str:
    """How much a resource request is about."""
    return "resource" if info.name else "namespace" if info.namespace else "cluster"


class AdmissionMetrics:
    """How long admission takes, by plugin and by phase ("admit" or "validate")."""

    def __init__(self) -> None:
        self.plugins: dict[tuple[str, str, str, bool], Histogram] = {}
        """By plugin, operation, phase, and whether it refused."""
        self.steps: dict[tuple[str, str, bool], Histogram] = {}

    def of(self, plugin: str, operation: str, phase: str, rejected: bool) -> Histogram:
        """Where one plugin's durations are added up."""
        key = plugin, operation, phase, rejected
        durations = self.plugins.get(key)
        if durations is None:
            durations = self.plugins[key] = Histogram(ADMISSIONS)
        return durations

    def add_step(self, operation: str, phase: str, rejected: bool, seconds: float) -> None:
        """All plugins of a phase are."""
        key = operation, phase, rejected
        durations = self.steps.get(key)
        if durations is None:
            durations = self.steps[key] = Histogram(ADMISSIONS)
        durations.add(seconds)
