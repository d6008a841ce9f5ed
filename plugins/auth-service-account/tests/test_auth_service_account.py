"""Tokens of service accounts, from the request to the user they stand for, in virtual time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import orjson
import pytest
import trio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from kubrick_api.errors import StatusError
from kubrick_api.names import GVR
from kubrick_api.storage import UserInfo
from kubrick_api_core import NODES, PODS, SERVICE_ACCOUNTS
from kubrick_apiserver.auth import Credentials
from kubrick_apiserver.authentication import Authentication
from kubrick_apiserver.request_info import parse_target
from kubrick_apiserver.server import APIServer
from kubrick_apiserver.web import Request
from kubrick_auth_service_account.claims import EXTENDED_SECONDS, WARN_ONLY_SECONDS, term
from kubrick_auth_service_account.discovery import CONFIGURATION, KEYS, Discovery
from kubrick_auth_service_account.keys import Keys
from kubrick_auth_service_account.tokens import ServiceAccountTokens
from kubrick_kernel import ConfigurationError
from kubrick_testing import Cluster, build, run_cluster

Object = dict[str, Any]
ISSUER = "https://kubernetes.default.svc.cluster.local"
TOKEN_REVIEWS = GVR("authentication.k8s.io", "v1", "tokenreviews")


@asynccontextmanager
async def served(**settings: Any) -> AsyncIterator[Cluster]:
    """An API server with the account "builder" in the namespace "default", and a node."""
    async with run_cluster("api", settings={"auth-service-account": settings}) as cluster:
        for name in ("default", "builder"):
            await cluster.client.create(SERVICE_ACCOUNTS, {"metadata": {"name": name}}, "default")
        await cluster.client.create(NODES, build.node("node-1"))
        yield cluster


async def token_of(cluster: Cluster, **spec: Any) -> Object:
    """The status of a TokenRequest for "builder"."""
    request = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": {"audiences": [], **spec}}
    made = await cluster.client.create(SERVICE_ACCOUNTS, request, "default", subresource="token", name="builder")
    status: Object = made["status"]
    return status


async def user_of(cluster: Cluster, token: str) -> UserInfo | None:
    return await cluster.kernel.find(Authentication).authenticate(Credentials(f"Bearer {token}"))


async def review(cluster: Cluster, token: str, *audiences: str) -> Object:
    spec = {"token": token, "audiences": list(audiences)}
    made = await cluster.client.create(TOKEN_REVIEWS, {"spec": spec})
    status: Object = made["status"]
    return status


async def pod_of(cluster: Cluster) -> Object:
    pod = build.pod("web", serviceAccountName="builder", nodeName="node-1", terminationGracePeriodSeconds=30)
    return await cluster.client.create(PODS, pod)


def claims_of(token: str) -> Object:
    claims: Object = jwt.decode(token, options={"verify_signature": False})
    return claims


async def test_a_token_speaks_for_its_account(autojump_clock: trio.testing.MockClock) -> None:
    async with served() as cluster:
        account = await cluster.client.get(SERVICE_ACCOUNTS, "builder", "default")
        user = await user_of(cluster, (await token_of(cluster))["token"])
        assert user is not None
        assert user.name == "system:serviceaccount:default:builder"
        assert user.uid == account["metadata"]["uid"]
        groups = ("system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated")
        assert user.groups == groups


async def test_a_token_ends_when_it_said_it_would(autojump_clock: trio.testing.MockClock) -> None:
    async with served() as cluster:
        token = (await token_of(cluster, expirationSeconds=600))["token"]
        await trio.sleep(598)
        assert await user_of(cluster, token) is not None
        await trio.sleep(4)
        with pytest.raises(StatusError, match="Unauthorized"):
            await user_of(cluster, token)
        assert (await review(cluster, token))["error"] == "[invalid bearer token, service account token has expired]"


async def test_a_pods_token_names_the_pod_and_its_node_and_dies_with_the_pod(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with served() as cluster:
        pod = await pod_of(cluster)
        node = await cluster.client.get(NODES, "node-1")
        reference = {"kind": "Pod", "apiVersion": "v1", "name": "web", "uid": pod["metadata"]["uid"]}
        token = (await token_of(cluster, boundObjectRef=reference))["token"]
        user = await user_of(cluster, token)
        assert user is not None
        prefix = "authentication.kubernetes.io/"
        assert user.extra[f"{prefix}pod-name"] == ("web",)
        assert user.extra[f"{prefix}pod-uid"] == (pod["metadata"]["uid"],)
        assert user.extra[f"{prefix}node-name"] == ("node-1",)
        assert user.extra[f"{prefix}node-uid"] == (node["metadata"]["uid"],)
        assert user.extra[f"{prefix}credential-id"][0].startswith("JTI=")
        await cluster.client.delete(PODS, "web", "default")
        assert await user_of(cluster, token) is not None, "a pod that is ending may still speak"
        await cluster.client.delete(PODS, "web", "default", grace_period=0)
        with pytest.raises(StatusError, match="Unauthorized"):
            await user_of(cluster, token)


async def test_an_account_made_anew_does_not_inherit_tokens(autojump_clock: trio.testing.MockClock) -> None:
    async with served() as cluster:
        token = (await token_of(cluster))["token"]
        await cluster.client.delete(SERVICE_ACCOUNTS, "builder", "default")
        await cluster.client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "builder"}}, "default")
        with pytest.raises(StatusError, match="Unauthorized"):
            await user_of(cluster, token)


async def test_a_token_bound_to_a_node_dies_with_the_node(autojump_clock: trio.testing.MockClock) -> None:
    async with served() as cluster:
        reference = {"kind": "Node", "apiVersion": "v1", "name": "node-1"}
        token = (await token_of(cluster, boundObjectRef=reference))["token"]
        assert await user_of(cluster, token) is not None
        await cluster.client.delete(NODES, "node-1")
        with pytest.raises(StatusError, match="Unauthorized"):
            await user_of(cluster, token)


async def test_a_token_of_another_pod_of_that_name_is_not_issued(autojump_clock: trio.testing.MockClock) -> None:
    async with served() as cluster:
        await pod_of(cluster)
        with pytest.raises(StatusError, match="does not match the UID in record"):
            await token_of(cluster, boundObjectRef={"kind": "Pod", "apiVersion": "v1", "name": "web", "uid": "other"})


async def test_a_volumes_token_lasts_a_year_and_says_when_to_replace_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with served() as cluster:
        await pod_of(cluster)
        reference = {"kind": "Pod", "apiVersion": "v1", "name": "web"}
        status = await token_of(cluster, expirationSeconds=WARN_ONLY_SECONDS, boundObjectRef=reference)
        claims = claims_of(status["token"])
        assert claims["exp"] - claims["iat"] == EXTENDED_SECONDS
        assert claims["kubernetes.io"]["warnafter"] - claims["iat"] == WARN_ONLY_SECONDS
        await trio.sleep(WARN_ONLY_SECONDS * 2)
        assert await user_of(cluster, status["token"]) is not None


@given(st.integers(600, 1 << 32), st.booleans(), st.booleans(), st.booleans())
def test_only_a_pods_token_of_3607_seconds_for_this_server_is_extended(
    seconds: int, own: bool, pod: bool, extend: bool
) -> None:
    lasts = term(seconds, own, (PODS, {}) if pod else None, extend)
    assert lasts.told == seconds
    assert (lasts.seconds != seconds) == (seconds == WARN_ONLY_SECONDS and own and pod and extend)


async def test_a_token_for_somebody_else_is_no_good_here(autojump_clock: trio.testing.MockClock) -> None:
    async with served() as cluster:
        token = (await token_of(cluster, audiences=["vault", "other"]))["token"]
        with pytest.raises(StatusError, match="Unauthorized"):
            await user_of(cluster, token)
        status = await review(cluster, token, "vault")
        assert status["authenticated"]
        assert status["audiences"] == ["vault"]
        assert status["user"]["username"] == "system:serviceaccount:default:builder"
        assert "authenticated" not in await review(cluster, token)


async def test_a_review_without_audiences_is_about_this_server(autojump_clock: trio.testing.MockClock) -> None:
    async with served() as cluster:
        status = await review(cluster, (await token_of(cluster))["token"])
        assert status["audiences"] == [ISSUER]
        assert "system:authenticated" in status["user"]["groups"]


async def test_a_forged_token_is_refused_and_a_foreign_one_left_to_others(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with served() as cluster:
        genuine = claims_of((await token_of(cluster))["token"])
        forger = ec.generate_private_key(ec.SECP256R1())
        with pytest.raises(StatusError, match="Unauthorized"):
            await user_of(cluster, jwt.encode(genuine, forger, algorithm="ES256"))
        with pytest.raises(StatusError, match="Unauthorized"):
            await user_of(cluster, jwt.encode(genuine, "", algorithm="none"))
        assert await user_of(cluster, jwt.encode({**genuine, "iss": "me"}, forger, algorithm="ES256")) is None
        assert await user_of(cluster, "no.token.atall") is None


@given(st.text() | st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*", fullmatch=True))
def test_no_text_makes_a_token_of_ours(text: str) -> None:
    keys = Keys(None)
    assert keys.verify(text) is None


async def test_others_can_check_tokens_by_themselves(autojump_clock: trio.testing.MockClock) -> None:
    async with served() as cluster:
        tokens = cluster.kernel.find(ServiceAccountTokens)
        discovery = Discovery(cluster.kernel, tokens, "")

        async def get(path: str) -> Object:
            path, query, _, info = parse_target("GET", path)
            response = await discovery(Request("GET", path, query, {}, b"", info))
            assert isinstance(response.body, bytes)
            answer: Object = orjson.loads(response.body)
            return answer

        configuration = await get(CONFIGURATION)
        assert configuration["issuer"] == ISSUER
        assert configuration["jwks_uri"].endswith(KEYS)
        (key,) = (await get(KEYS))["keys"]
        token = (await token_of(cluster))["token"]
        assert jwt.get_unverified_header(token)["kid"] == key["kid"]
        claims = jwt.decode(token, jwt.PyJWK(key).key, [key["alg"]], audience=ISSUER, options={"verify_exp": False})
        assert claims["sub"] == "system:serviceaccount:default:builder"


async def test_the_server_answers_the_discovery_paths(autojump_clock: trio.testing.MockClock) -> None:
    async with served() as cluster:
        further = cluster.kernel.find(APIServer)._further_paths()
        assert set(further) >= {CONFIGURATION, KEYS}


@pytest.mark.parametrize("kind", ["P-256", "P-384", "RSA"])
def test_keys_sign_and_recognise_by_their_kind(kind: str, tmp_path: Path) -> None:
    private: Any = {
        "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "RSA": lambda: rsa.generate_private_key(65537, 2048),
    }[kind]()
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    old, new = tmp_path / "old.key", tmp_path / "new.pub"
    old.write_bytes(pem)
    public = private.public_key()
    new.write_bytes(public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    token = Keys(old).sign({"iss": "x", "n": 1})
    assert Keys(None, [new]).verify(token) == {"iss": "x", "n": 1}
    assert Keys(None).verify(token) is None


def test_a_key_file_that_is_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "sa.key"
    file.write_text("nothing")
    with pytest.raises(ConfigurationError, match=f"cannot read the key {file}"):
        Keys(file).sign({})
