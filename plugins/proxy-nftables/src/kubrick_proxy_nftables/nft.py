"""Sending commands to the kernel: the contract, libnftables behind it, and the ``nft`` program in its place.

libnftables is called straight through ctypes: Debian's python3-nftables is the same library behind a module that a
virtual environment doesn't see. One call is one transaction: all of it happens or nothing.
"""

import ctypes
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from typing import Protocol

from kubrick_kernel import ConfigurationError
from kubrick_proxy_nftables.netlink import Flow, Netfilter

LIBRARY = "libnftables.so.1"
MISSING = (
    "proxy-nftables: neither libnftables.so.1 nor the program nft is here; install Debian's package "
    "libnftables1 or nftables (apt-get install nftables)"
)
LARGE = 1 << 20
"""After commands of this size memory is given back: libnftables needs fifty times as much for a while."""
SHOWN = 600
"""How much is kept of a refusal: it quotes the command, which may be megabytes."""

Fingerprint = tuple[int, ...]


class Refused(Exception):  # the kernel's answer, not a fault of the caller's
    """The kernel or libnftables took nothing of a transaction. The text says which command and why."""


class Nft(Protocol):
    """The kernel's tables, as far as the proxy needs them."""

    def run(self, commands: str) -> None:
        """One transaction. Raises Refused."""
        ...

    def generation(self) -> int:
        """A number that changes with every transaction of anybody. Raises OSError."""
        ...

    def fingerprint(self, family: str, table: str, chains: Sequence[str]) -> Fingerprint | None:
        """Changes when the table is replaced or rules of these chains come or go; None if one is missing."""
        ...

    def udp_flows(self, family: str) -> Iterable[Flow]:
        """Every tracked UDP connection of "ip" or "ip6". Raises OSError where nothing is tracked."""
        ...

    def forget(self, flow: Flow, family: str) -> None:
        """Stop tracking a connection; one that is gone already is fine. Raises OSError."""
        ...

    def close(self) -> None: ...


class Kernel:
    """What both ways of sending commands have in common: everything else."""

    def __init__(self) -> None:
        self._netfilter = Netfilter()

    def generation(self) -> int:
        return self._netfilter.generation()

    def fingerprint(self, family: str, table: str, chains: Sequence[str]) -> Fingerprint | None:
        return self._netfilter.fingerprint(family, table, chains)

    def udp_flows(self, family: str) -> Iterable[Flow]:
        return self._netfilter.udp_flows(family)

    def forget(self, flow: Flow, family: str) -> None:
        self._netfilter.delete(flow, family)

    def close(self) -> None:
        self._netfilter.close()


class Library(Kernel):
    """`Nft` by libnftables. Raises OSError if it isn't installed."""

    def __init__(self) -> None:
        library = ctypes.CDLL(LIBRARY)
        library.nft_ctx_new.restype = ctypes.c_void_p
        library.nft_ctx_new.argtypes = [ctypes.c_uint32]
        library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
        for name in ("buffer_output", "buffer_error", "get_error_buffer", "free"):
            getattr(library, f"nft_ctx_{name}").argtypes = [ctypes.c_void_p]
        library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        self._library = library
        super().__init__()

    def run(self, commands: str) -> None:
        library = self._library
        context = library.nft_ctx_new(0)
        try:
            library.nft_ctx_buffer_output(context)
            library.nft_ctx_buffer_error(context)
            if library.nft_run_cmd_from_buffer(context, commands.encode()):
                raise Refused(library.nft_ctx_get_error_buffer(context)[:SHOWN].decode("utf-8", "replace").strip())
        finally:
            library.nft_ctx_free(context)
            if len(commands) > LARGE:
                _give_memory_back()


class Program(Kernel):
    """`Nft` by the program ``nft``, a process for each transaction."""

    def __init__(self, path: str) -> None:
        self._path = path
        super().__init__()

    def run(self, commands: str) -> None:
        command = [self._path, "-f", "-"]
        done = subprocess.run(command, input=commands.encode(), capture_output=True, check=False)  # noqa: S603 -- nft itself
        if done.returncode:
            raise Refused(done.stderr[:SHOWN].decode("utf-8", "replace").strip())


def open_nft() -> Nft:
    """The library, else the program. Raises ConfigurationError saying what to install."""
    try:
        return Library()
    except OSError:
        path = shutil.which("nft", path="/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin")
        if path is None:
            raise ConfigurationError(MISSING) from None
        return Program(path)


def _give_memory_back() -> None:
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except AttributeError:  # not glibc
        pass
