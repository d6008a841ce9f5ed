"""A client that sends exactly the bytes it is told to, and a comparison of answers with what was expected.

The clients people use mend what is sent; these requests must arrive as they are, over HTTPS.
"""

import base64
import json
import ssl
from pathlib import Path
from typing import Any

import httpx
import yaml
from attrs import define, field

Json = dict[str, Any]
MERGE, STRATEGIC, PATCH = "merge-patch", "strategic-merge-patch", "json-patch"


@define
class Case:
    """One request and its answer. `body` is sent as JSON unless it is bytes already; `details` and
    `warnings` are compared as a whole. In `message` and `details`, {name} is filled in from `Raw.known`;
    a message that ends in "..." stands for all that begin like it."""

    what: str
    method: str
    path: str
    body: Any = None
    code: int = 400
    reason: str = "BadRequest"
    message: str = ""
    details: Json | None = None
    headers: dict[str, str] = field(factory=dict)
    warnings: list[str] | None = None


def patch(what: str, path: str, kind: str, body: Any, *answer: Any, **more: Any) -> Case:
    """A PATCH of one of the three kinds."""
    return Case(what, "PATCH", path, body, *answer, headers={"Content-Type": f"application/{kind}+json"}, **more)


class Raw:
    """HTTPS to one server, as the user of a kubeconfig or as somebody else."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.server = cluster["server"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self.known: dict[str, str] = {}
        self._anonymous = httpx.AsyncClient(
            base_url=self.server, verify=ssl.create_default_context(cadata=authority), trust_env=False
        )
        context = ssl.create_default_context(cadata=authority)
        certificate, key = kubeconfig.with_name("raw.crt"), kubeconfig.with_name("raw.key")
        certificate.write_bytes(base64.b64decode(user["client-certificate-data"]))
        key.write_bytes(base64.b64decode(user["client-key-data"]))
        context.load_cert_chain(certificate, key)
        self._client = httpx.AsyncClient(base_url=self.server, verify=context, trust_env=False, timeout=30)

    async def __aenter__(self) -> "Raw":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.aclose()
        await self._anonymous.aclose()

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        *,
        anonymous: bool = False,
    ) -> httpx.Response:
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} if content is not None else {}
        client = self._anonymous if anonymous else self._client
        return await client.request(method, path, content=content, headers={**sent, **(headers or {})})

    async def make(self, path: str, obj: Json) -> Json:
        """Create something that must succeed."""
        answer = await self.send("POST", path, obj)
        assert answer.status_code == 201, answer.text
        made: Json = answer.json()
        return made

    async def state(self) -> str:
        """The revision of everything: it moves with every write."""
        answer = await self.send("GET", "/api/v1/namespaces?limit=1")
        revision: str = answer.json()["metadata"]["resourceVersion"]
        return revision

    def filled(self, value: Any) -> Any:
        """`value` with what is known put in."""
        text = json.dumps(value)
        for name, known in self.known.items():
            text = text.replace(f"{{{name}}}", known)
        return json.loads(text)

    async def differences(self, cases: list[Case], *, anonymous: bool = False) -> list[str]:
        """What the server answered otherwise, or changed though it refused; [] when all is well."""
        found: list[str] = []
        for case in cases:
            before = await self.state()
            body = case.body if isinstance(case.body, bytes) else self.filled(case.body)
            answer = await self.send(
                case.method, self.filled(case.path), body, self.filled(case.headers), anonymous=anonymous
            )
            found += [f"{case.what}: {text}" for text in self._compared(case, answer)]
            if answer.status_code >= 400 and await self.state() != before:
                found.append(f"{case.what}: refused, but something was written")
        return found

    def _compared(self, case: Case, answer: httpx.Response) -> list[str]:
        found = []
        if answer.status_code != case.code:
            found.append(f"code {answer.status_code}, not {case.code}: {answer.text[:500]}")
        if case.warnings is not None and answer.headers.get_list("warning") != case.warnings:
            found.append(f"warnings {answer.headers.get_list('warning')}, not {case.warnings}")
        if case.code < 400 or answer.status_code < 400:
            return found
        if not answer.headers["content-type"].startswith("application/json"):
            if answer.text != case.message:
                found.append(f"text\n   {answer.text!r}, not\n   {case.message!r}")
            return found
        status = answer.json()
        wanted = self.filled(case.message)
        message = status["message"]
        same = message.startswith(wanted[:-3]) if wanted.endswith("...") else message == wanted
        if not same:
            found.append(f"message\n   {message!r}, not\n   {wanted!r}")
        details = status.get("details")
        if case.message.endswith("...") and details:
            details.pop("causes", None)
        if details != self.filled(case.details):
            found.append(f"details\n   {details}, not\n   {self.filled(case.details)}")
        rest = {key: value for key, value in status.items() if key not in ("message", "details")}
        frame = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": case.code}
        if case.reason:
            frame["reason"] = case.reason
        if rest != frame:
            found.append(f"status {rest}, not {frame}")
        return found


def causes(*each: tuple[str, str, str], **more: Any) -> Json:
    """Details with causes, each (reason, message, field)."""
    return {**more, "causes": [{"reason": one, "message": text, "field": where} for one, text, where in each]}
