"""Structured logging to stderr by structlog, imported when the first line is written.

Importing structlog costs a tenth of the time a whole cluster may take to start, and a start without
trouble logs nothing; so modules take a `Logger` from here instead.
"""

import sys
from typing import Any

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_threshold = 20


def configure(level: str = "info") -> None:
    """Set the lowest level that is written: debug, info, warning or error."""
    global _threshold
    _threshold = _LEVELS[level]


class Logger:
    """Writes events with key-value pairs, under one name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._logger: Any = None

    def debug(self, event: str, **values: Any) -> None:
        self._write("debug", event, values)

    def info(self, event: str, **values: Any) -> None:
        self._write("info", event, values)

    def warning(self, event: str, **values: Any) -> None:
        self._write("warning", event, values)

    def error(self, event: str, **values: Any) -> None:
        """With ``exc_info=error`` the traceback is written too."""
        self._write("error", event, values)

    def writes(self, level: str) -> bool:
        """Whether lines of this level are written: for who has to put together what to say."""
        return _LEVELS[level] >= _threshold

    def _write(self, level: str, event: str, values: dict[str, Any]) -> None:
        if not self.writes(level):
            return
        if self._logger is None:
            self._logger = _structlog(self._name)
        getattr(self._logger, level)(event, **values)


def get_logger(name: str) -> Logger:
    """A logger named like the component or package that writes."""
    return Logger(name)


class _Stderr:
    """Writes lines to whatever stderr is at the time."""

    def msg(self, message: str) -> None:
        print(message, file=sys.stderr, flush=True)  # noqa: T201  # this is where output is made

    debug = info = warning = error = msg


def _structlog(name: str) -> Any:
    import structlog  # noqa: TID251 -- this is where it is kept

    line = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "logger", "event"], bool_as_flag=False)

    def render(logger: Any, method: str, event: Any) -> str:
        """One line, and a traceback below it, where a person can read it."""
        traceback = event.pop("exception", None)
        text = line(logger, method, event)
        return f"{text}\n{traceback}" if traceback else text

    return structlog.wrap_logger(
        _Stderr(),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            render,
        ],
    ).bind(logger=name)
