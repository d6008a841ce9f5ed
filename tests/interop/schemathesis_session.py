"""schemathesis reads a server's OpenAPI v3 and makes requests of it, over HTTPS: good ones and bad ones.

No answer may be a server's fault, but for those that kube-apiserver gives, too (`kubrick_testing.faults`), and none
may take long. Connections (log, exec, proxy, ...) are left out, and watches end after a second.
"""

import base64
import warnings
from collections.abc import Iterator
from pathlib import Path

import requests
import yaml
from attrs import define, field
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis.errors import Unsatisfiable

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import schemathesis
    from schemathesis import APIOperation, Case, GenerationMode

from kubrick_apiserver.request_info import parse_target
from kubrick_testing import faults

CONNECTIONS = ("/log", "/exec", "/attach", "/portforward", "/proxy", "{path}")
PATIENCE = 20.0
"""Seconds within which any answer must come."""


@define
class Session:
    """Requests to one server, and what they were answered with."""

    server: str
    http: requests.Session
    codes: dict[int, int] = field(factory=dict)
    faults: list[str] = field(factory=list)

    @classmethod
    def of(cls, kubeconfig: Path) -> "Session":
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        files = {}
        for name, data in (
            ("ca", cluster["certificate-authority-data"]),
            ("crt", user["client-certificate-data"]),
            ("key", user["client-key-data"]),
        ):
            files[name] = kubeconfig.with_name(f"schemathesis.{name}")
            files[name].write_bytes(base64.b64decode(data))
        http = requests.Session()
        http.trust_env = False
        http.verify = str(files["ca"])
        http.cert = str(files["crt"]), str(files["key"])
        return cls(cluster["server"], http)

    def operations(self) -> Iterator[APIOperation]:
        """All there are, group by group, in the order of their paths."""
        index = self.http.get(f"{self.server}/openapi/v3", timeout=PATIENCE).json()["paths"]
        for group in sorted(index):
            url = self.server + index[group]["serverRelativeURL"]
            schema = schemathesis.openapi.from_dict(self.http.get(url, timeout=PATIENCE).json())
            schema.config.update(base_url=self.server)
            for result in schema.get_all_operations():
                operation = result.ok()
                if not any(part in operation.path for part in CONNECTIONS):
                    yield operation

    def try_out(self, operation: APIOperation, mode: GenerationMode, examples: int, *, repeatable: bool = True) -> None:
        """So many requests of one operation."""

        @settings(
            max_examples=examples,
            derandomize=repeatable,
            database=None,
            verbosity=Verbosity.quiet,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode))
        def send(case: Case) -> None:
            self.send(case)

        try:
            send()
        except Unsatisfiable:
            pass  # a path without parameters has no bad requests

    def send(self, case: Case) -> None:
        if "watch" in case.query or "/watch/" in case.path:
            case.query["timeoutSeconds"] = 1
        asked = case.as_transport_kwargs(base_url=self.server)
        try:
            answer = self.http.request(**asked, timeout=PATIENCE)
        except (requests.exceptions.InvalidHeader, UnicodeError, requests.exceptions.InvalidURL):
            return  # the client won't send it
        except requests.exceptions.RequestException as error:
            self.faults.append(f"{case.method} {case.formatted_path}: {error!r}")
            return
        self.codes[answer.status_code] = self.codes.get(answer.status_code, 0) + 1
        if answer.status_code >= 500 and not permitted(answer):
            self.faults.append(f"{answer.status_code} {case.as_curl_command()[:2000]}: {answer.text[:500]}")


def permitted(answer: requests.Response) -> bool:
    """Whether kube-apiserver would have answered the same."""
    try:
        status = answer.json()
    except requests.exceptions.JSONDecodeError:
        return False
    request = answer.request
    _, query, _, info = parse_target(request.method or "", request.path_url)
    media = str(request.headers.get("content-type", faults.JSON)).partition(";")[0]
    data = request.body or b""
    body = faults.body_of(data if isinstance(data, bytes) else str(data).encode())
    asked = faults.Asked(request.method or "", info.resource, info.subresource, query, media, body)
    return faults.known(asked, answer.status_code, status.get("reason", ""), status.get("message", ""))
