"""Authentication by a static token file: lines of ``token,user,uid,"group1,group2"``.

The file is named by the API server's setting `token_file` and read once, at start. Its mistakes are
reported with file and line.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kubrick_api.storage import UserInfo
from kubrick_kernel import ConfigurationError
from kubrick_kernel.hookspecs import hookimpl

if TYPE_CHECKING:
    from kubrick_apiserver.auth import Authenticator, Credentials
    from kubrick_kernel import Kernel


def parse(lines: Iterable[str], source: str) -> dict[str, UserInfo]:
    """Users by token. Raises ConfigurationError naming `source` and the line."""
    users: dict[str, UserInfo] = {}
    rows = csv.reader(lines, skipinitialspace=True, strict=True)
    try:
        for row in rows:
            if not row or row[0].startswith("#"):
                continue
            where = f"{source}, line {rows.line_num}"
            if len(row) < 3:
                raise ConfigurationError(
                    f'{where}: {len(row)} columns; needed are at least token,user,uid and perhaps "group1,group2"'
                )
            token, user, uid = row[:3]
            if not token or not user:
                raise ConfigurationError(f"{where}: the {'user' if token else 'token'} is empty")
            if token in users:
                raise ConfigurationError(f"{where}: the same token as in an earlier line; each needs its own")
            groups = tuple(group.strip() for group in row[3].split(",") if group.strip()) if len(row) > 3 else ()
            users[token] = UserInfo(user, uid, groups)
    except csv.Error as error:
        raise ConfigurationError(f"{source}, line {rows.line_num}: {error}") from error
    return users


class TokenFile:
    """Knows users by their tokens."""

    name = "token-file"
    order = 20

    def __init__(self, users: Mapping[str, UserInfo]) -> None:
        self._users = users

    @classmethod
    def read(cls, path: Path) -> "TokenFile":
        """Raises ConfigurationError."""
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ConfigurationError(
                f"apiserver: cannot read the token file {path}: {reason}; correct token_file in [plugins.apiserver]"
            ) from error
        return cls(parse(text.splitlines(), str(path)))

    async def authenticate(self, credentials: "Credentials") -> UserInfo | None:
        """The token's user. An unknown token is no business of this one: others have tokens too."""
        scheme, _, token = credentials.authorization.partition(" ")
        return self._users.get(token.strip()) if scheme.lower() == "bearer" else None


@hookimpl
def kubrick_register_authenticators(kernel: "Kernel") -> "Sequence[Authenticator]":
    path = kernel.settings("apiserver").token_file
    return (TokenFile.read(Path(path)),) if path else ()
