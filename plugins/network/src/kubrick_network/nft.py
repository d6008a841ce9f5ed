"""nftables through libnftables: commands as text (a person can read them), listings as JSON.

The library is called directly: Debian's python3-nftables wraps the same six functions, and lies where a
virtual environment doesn't see it. A string of commands is one transaction: all of it or nothing. The
namespace is the one of the calling thread.
"""

import ctypes
import json
import threading
from functools import cache
from typing import Any

from kubrick_network.errors import IO_FAILURE, NOT_AVAILABLE, CNIError

LIBRARY = "libnftables.so.1"
_JSON = 1 << 4
_HANDLES = 1 << 3
_lock = threading.Lock()
"""The library's parser is not made for many threads."""

Object = dict[str, Any]


@cache
def load() -> ctypes.CDLL:
    """The library. Raises CNIError when it isn't installed."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise CNIError(NOT_AVAILABLE, f"{LIBRARY} can't be loaded; install nftables", str(error)) from error
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    library.nft_ctx_free.argtypes = [ctypes.c_void_p]
    library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
        getattr(library, name).restype = ctypes.c_char_p
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    return library


class Refused(CNIError):
    """The kernel or the parser refused the commands."""

    def __init__(self, error: str, commands: str) -> None:
        super().__init__(IO_FAILURE, "nftables refused the rules", f"{error.strip()}\nin:\n{commands}")
        self.error = error


def _run(commands: str, flags: int) -> str:
    library = load()
    with _lock:
        context = library.nft_ctx_new(0)
        if not context:
            raise CNIError(IO_FAILURE, "libnftables gives no context", "is this process privileged?")
        try:
            library.nft_ctx_output_set_flags(context, flags)
            library.nft_ctx_buffer_output(context)
            library.nft_ctx_buffer_error(context)
            failed = library.nft_run_cmd_from_buffer(context, commands.encode())
            output = library.nft_ctx_get_output_buffer(context) or b""
            error = library.nft_ctx_get_error_buffer(context) or b""
        finally:
            library.nft_ctx_free(context)
    if failed:
        raise Refused(error.decode(errors="replace"), commands)
    return str(output.decode())


def apply(commands: str) -> None:
    """Run `commands`, all or none. Raises Refused."""
    if commands:
        _run(commands, _HANDLES)


def list_table(family: str, name: str) -> list[Object]:
    """What is in a table, in libnftables' JSON: objects with one key (table, chain, rule, map, set). An
    absent table holds nothing."""
    try:
        output = _run(f"list table {family} {name}", _JSON | _HANDLES)
    except Refused as error:
        if "No such file or directory" in error.error:
            return []
        raise
    found: list[Object] = json.loads(output)["nftables"]
    return found
