"""/healthz, /livez and /readyz: named checks, in kube-apiserver's text format.

Each path has its own list of checks; ``?verbose`` shows them, ``?exclude=NAME`` leaves one out, and
``/readyz/NAME`` runs one alone. A failed check's reason is logged and withheld from the answer.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import trio
from attrs import define, field

from kubrick_apiserver.web import Request, Response
from kubrick_http.writer import text_response
from kubrick_kernel.log import get_logger

Check = Callable[[], Awaitable[None]]
TIMEOUT = 2.0

log = get_logger("apiserver.health")


async def ping() -> None:
    """Answering is all it takes."""


@define(eq=False)
class Health:
    """The checks of each path ("healthz", "livez", "readyz"), in the order they are shown."""

    checks: dict[str, dict[str, Check]] = field(factory=lambda: {"healthz": {}, "livez": {}, "readyz": {}})
    results: dict[tuple[str, str], bool] = field(factory=dict)
    """The last outcome by (check, path)."""
    counts: dict[tuple[str, str, str], int] = field(factory=dict)
    """How often each outcome came, by (check, path, "success" or "error")."""
    draining: bool = False

    def add(self, name: str, check: Check, paths: Sequence[str] = ("healthz", "livez", "readyz")) -> None:
        for path in paths:
            self.checks[path][name] = check

    async def not_shutting_down(self) -> None:
        """The readiness check "shutdown"."""
        if self.draining:
            raise RuntimeError("process is shutting down")

    async def answer(self, request: Request) -> Response | None:
        """The answer to one of the three paths or a check below it; None when there is no such check."""
        path, _, name = request.path.strip("/").partition("/")
        checks = self.checks[path]
        if not name:
            return await self._all(path, checks, request)
        check = checks.get(name)
        if check is None:
            return None
        if await self._passes(path, name, check):
            return text_response(200, "ok")
        return text_response(500, "internal server error: reason withheld\n")

    async def _all(self, path: str, checks: Mapping[str, Check], request: Request) -> Response:
        excluded = dict.fromkeys(excluded_checks(request))
        lines = []
        failed = []
        for name, check in checks.items():
            if name in excluded:
                del excluded[name]
                lines.append(f"[+]{name} excluded: ok\n")
            elif await self._passes(path, name, check):
                lines.append(f"[+]{name} ok\n")
            else:
                failed.append(name)
                lines.append(f"[-]{name} failed: reason withheld\n")
        if excluded:
            quoted = ", ".join(f'"{name}"' for name in sorted(excluded))
            lines.append(f"warn: some health checks cannot be excluded: no matches for {quoted}\n")
        if failed:
            return text_response(500, f"{''.join(lines)}{path} check failed\n")
        if "verbose" not in request.query:
            return text_response(200, "ok")
        return text_response(200, f"{''.join(lines)}{path} check passed\n")

    async def _passes(self, path: str, name: str, check: Check) -> bool:
        try:
            with trio.fail_after(TIMEOUT):
                await check()
            passed = True
        except Exception as error:
            log.warning("health check failed", check=name, path=path, reason=str(error))
            passed = False
        outcome = name, path, "success" if passed else "error"
        self.results[name, path] = passed
        self.counts[outcome] = self.counts.get(outcome, 0) + 1
        return passed


def excluded_checks(request: Request) -> tuple[str, ...]:
    """The checks a request wants left out."""
    if "exclude" not in request.query:
        return ()
    return request.query_lists.get("exclude") or (request.query["exclude"],)
