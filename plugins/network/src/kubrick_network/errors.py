"""What goes wrong in CNI, as the specification numbers it (CNI 1.1, section "Error").

A plugin raises `CNIError`; the runtime reads it as JSON on the plugin's standard output. Codes from
100 on are a plugin's own.
"""

from typing import Any

INCOMPATIBLE_VERSION = 1
UNSUPPORTED_FIELD = 2
UNKNOWN_CONTAINER = 3
INVALID_ENVIRONMENT = 4
IO_FAILURE = 5
DECODING_FAILURE = 6
INVALID_CONFIGURATION = 7
INVALID_NAMESPACE = 8
TRY_AGAIN_LATER = 11
NOT_AVAILABLE = 50
LIMITED_CONNECTIVITY = 51
CHECK_FAILED = 100
"""Ours: CHECK found that something isn't as ADD left it."""
INTERNAL = 999


class CNIError(Exception):
    """An error a runtime is told. `msg` is one short line; `details` may say more."""

    def __init__(self, code: int, msg: str, details: str = "") -> None:
        super().__init__(f"{msg}: {details}" if details else msg)
        self.code = code
        self.msg = msg
        self.details = details

    def document(self, version: str) -> dict[str, Any]:
        """The error object for a configuration of `version`."""
        found: dict[str, Any] = {"cniVersion": version, "code": self.code, "msg": self.msg}
        if self.details:
            found["details"] = self.details
        return found


def invalid(message: str, details: str = "") -> CNIError:
    """The network configuration is wrong."""
    return CNIError(INVALID_CONFIGURATION, message, details)
