"""The conformance suite of storage engines: every guarantee of `kubrick_kernel.store`, one check each.

In a test module of an engine, which is all it takes::

    from kubrick_kernel.testing.store import Engine, store_checks

    test_store = store_checks(Engine(open=MyStore, durable=True, snapshot="data.db"))

and, where Hypothesis is installed, against a model of a few lines, with transactions, reads of the
past, watches, compaction, lifetimes and restarts in any order it can think of::

    from kubrick_kernel.testing.machine import store_machine

    TestStore = store_machine(Engine(open=MyStore, durable=True, snapshot="data.db"))
"""

from collections.abc import Callable
from pathlib import Path

from kubrick_kernel.testing import lasting, reads, watches, writes
from kubrick_kernel.testing.stage import CHECKS, Check, Engine, Stage, run_check

__all__ = ["DURABLE_CHECKS", "STORE_CHECKS", "Check", "Engine", "Stage", "run_check", "store_checks"]

_SOURCES = (writes, reads, watches, lasting)

STORE_CHECKS: list[Check] = CHECKS.everywhere
"""What every engine keeps."""

DURABLE_CHECKS: list[Check] = CHECKS.durable
"""What an engine keeps, besides, that has its data on disk or elsewhere."""


def store_checks(engine: Engine) -> Callable[[Check, Path], None]:
    """A pytest test, parametrised over all checks that apply to `engine`."""
    import pytest  # only whoever tests an engine needs it

    checks = STORE_CHECKS + (DURABLE_CHECKS if engine.durable else [])

    @pytest.mark.parametrize("check", checks, ids=[getattr(check, "__name__", repr(check)) for check in checks])
    def test(check: Check, tmp_path: Path) -> None:
        run_check(check, engine, tmp_path)

    return test
