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
SYSTEM_CLIENTS = {
    "system:kube-controller-manager": "kube-controller-manager",
    "system:kube-scheduler": "kube-scheduler",
}
Labels = tuple[str, ...]


@define(eq=False)
class Series:
    """Everything counted for one combination of verb, group, version, resource, subresource and scope."""

    labels: Labels
    codes: dict[tuple[int, str, str], int] = field(factory=dict)
    """By (code, dry run, system client)."""
    durations: list[int] = field(factory=lambda: [0] * (len(DURATIONS) + 1))
    seconds: float = 0.0
    sizes: list[int] = field(factory=lambda: [0] * (len(SIZES) + 1))
    size: int = 0
    open: int = 0


class RequestMetrics:
    """Counts requests. `known` says whether a resource exists."""

    def __init__(self, known: Callable[[GVR, str], bool] = lambda resource, subresource: True) -> None:
        self._known = known
        self._series: dict[tuple[str, str, str, str, str, bool, bool], Series] = {}

    def observe(self, request: Request, code: int, seconds: float, size: int) -> None:
        """One request was answered (or, for a stream, begun)."""
        series = self._find(request.info)
        dry_run = "All" if "dryRun" in request.query else ""
        key = code, dry_run, SYSTEM_CLIENTS.get(request.user.name, "")
        series.codes[key] = series.codes.get(key, 0) + 1
        if request.info.verb != "watch":
            series.durations[bisect_left(DURATIONS, seconds)] += 1
            series.seconds += seconds
            series.sizes[bisect_left(SIZES, size)] += 1
            series.size += size

    def long_running(self, info: RequestInfo, change: int) -> None:
        """A streamed answer began (1) or ended (-1)."""
        self._find(info).open += change

    def series(self) -> Iterable[Series]:
        return self._series.values()

    def _find(self, info: RequestInfo) -> Series:
        key = info.verb, info.group, info.version, info.resource, info.subresource, not info.namespace, not info.name
        found = self._series.get(key)
        return found or self._add(info, key)

    def _add(self, info: RequestInfo, key: tuple[str, str, str, str, str, bool, bool]) -> Series:
        verb = VERBS.get(info.verb, "other")
        if info.resource_request and self._known(GVR(info.group, info.version, info.resource), info.subresource):
            scope = "resource" if info.name else "namespace" if info.namespace else "cluster"
            labels: Labels = (verb, info.group, info.version, info.resource, info.subresource, scope)
        else:
            key = verb, "", "", "", info.path if info.path in PATHS else "", True, True
            labels = (*key[:5], "")
        found = self._series.get(key)
        if found is None:
            found = self._series[key] = Series(labels)
        return found
