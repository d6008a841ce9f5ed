"""Token files: what they say and what is wrong with them."""

from pathlib import Path

import pytest

from kubrick_api.storage import UserInfo
from kubrick_apiserver.auth import Credentials
from kubrick_auth_token_file import TokenFile, parse
from kubrick_kernel import ConfigurationError


def test_a_line_makes_a_user() -> None:
    users = parse(["# comment", "", 't1,alice,1,"a, b"', "t2,bob,2"], "tokens.csv")
    assert users == {"t1": UserInfo("alice", "1", ("a", "b")), "t2": UserInfo("bob", "2")}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["t1,alice,1", "t2,bob"], "tokens.csv, line 2: 2 columns"),
        ([",alice,1"], "tokens.csv, line 1: the token is empty"),
        (["t,,1"], "tokens.csv, line 1: the user is empty"),
        (["t,a,1", "t,b,2"], "tokens.csv, line 2: the same token"),
        (['t,a,1,"x'], "tokens.csv, line 1: unexpected end of data"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(lines: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse(lines, "tokens.csv")


def test_a_file_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot read the token file .*: No such file or directory; correct"):
        TokenFile.read(tmp_path / "nothing")


async def test_only_bearer_tokens_are_looked_up() -> None:
    tokens = TokenFile({"secret": UserInfo("alice")})
    assert await tokens.authenticate(Credentials("Bearer secret")) == UserInfo("alice")
    assert await tokens.authenticate(Credentials("bearer  secret")) == UserInfo("alice")
    for other in ("", "Bearer x", "Basic secret", "Bearer", "secret"):
        assert await tokens.authenticate(Credentials(other)) is None
