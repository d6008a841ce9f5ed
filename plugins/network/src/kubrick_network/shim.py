"""The executable a runtime calls in place of a plugin: hands the call to the agent, prints its answer.

One small file, linked under each plugin's name. It is Python without its library (options -I and -S;
`posix` and `_socket` are built into the interpreter), because starting is all that it does. On the wire: the
plugin's name and the CNI_* variables, each ended by a NUL, one NUL more, then standard input until the
writer closes; back come the exit code in decimal, a newline, and standard output.
"""

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from kubrick_kernel import ConfigurationError

LONGEST_SOCKET_PATH = 107
LONGEST_SHEBANG = 127
MARK = "Kubrick's node agent answers for this CNI plugin"

SOURCE = """\
{start}
# {mark}: this hands the runtime's call to it.
import posix, sys, _socket

SOCKET = {socket!r}


def refuse(why):
    name = why.replace("\\\\", "").replace('"', "'")
    text = '{{"cniVersion":"1.0.0","code":11,"msg":"the node agent does not answer","details":"%s"}}' % name
    posix.write(1, text.encode())
    posix._exit(1)


def main():
    fields = [sys.argv[0].rpartition("/")[2].encode()]
    fields += [name + b"=" + value for name, value in posix.environ.items() if name.startswith(b"CNI_")]
    config = []
    while part := posix.read(0, 65536):
        config.append(part)
    agent = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        agent.connect(SOCKET)
        agent.sendall(b"\\0".join(fields) + b"\\0\\0" + b"".join(config))
        agent.shutdown(_socket.SHUT_WR)
        answer = []
        while part := agent.recv(65536):
            answer.append(part)
    except OSError as error:
        refuse(SOCKET + ": " + str(error))
    code, newline, output = b"".join(answer).partition(b"\\n")
    if not newline:
        refuse(SOCKET + ": it ended before it answered")
    while output:
        output = output[posix.write(1, output):]
    posix._exit(int(code))


main()
"""


def source(socket: str, interpreter: str) -> str:
    """The shim's text."""
    if len(socket.encode()) > LONGEST_SOCKET_PATH:
        raise ConfigurationError(
            f"the path of the network socket is longer than {LONGEST_SOCKET_PATH} bytes: {socket}; "
            "set a shorter one: [plugins.network] socket"
        )
    start = f"#!{interpreter} -IS"
    if " " in interpreter or len(start) > LONGEST_SHEBANG:
        # What a shell and Python both read: the shell starts the interpreter, which sees a string.
        start = f"#!/bin/sh\n'''exec' \"{interpreter}\" -IS \"$0\" \"$@\"\n'''"
    return SOURCE.format(start=start, mark=MARK, socket=socket)


def interpreter() -> str:
    """The interpreter itself, not a virtual environment's link to it: that would look for its home."""
    return os.path.realpath(sys.executable)


def install(folder: Path, names: Iterable[str], socket: str, programs: Mapping[str, str]) -> None:
    """Make `folder` hold the shim under each of `names`, and links to `programs`; what an earlier
    start left there and nobody answers for any more is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    text = source(socket, interpreter())
    wanted = set(names)
    for file in folder.iterdir():
        stale = file.name not in wanted and (file.is_symlink() or _is_shim(file))
        if stale and file.name not in programs:
            file.unlink()
    for name in sorted(wanted):
        _replace(folder / name, text)
    for name, program in programs.items():
        file = folder / name
        if not (file.is_symlink() and os.readlink(file) == program):
            file.unlink(missing_ok=True)
            file.symlink_to(program)


def _is_shim(file: Path) -> bool:
    with file.open("rb") as opened:
        return MARK.encode() in opened.read(1024)


def _replace(file: Path, text: str) -> None:
    """Write an executable whole: a runtime may start it any time."""
    if file.is_file() and not file.is_symlink() and file.read_text(errors="replace") == text:
        return
    fresh = file.with_name(f".{file.name}")
    fresh.unlink(missing_ok=True)
    fresh.write_text(text)
    fresh.chmod(0o755)
    os.replace(fresh, file)
