"""The server under load: ``kubrick up`` with the profile api, SQLite, TLS, a bearer token, RBAC and admission."""

import http.client
import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio

from kubrick_testing import RealCluster

TOKEN = "bench-token"
CLUSTER = """
[cluster]
profile = "api"
[plugins.apiserver]
token_file = "{tokens}"
[plugins.store-sqlite]
synchronous = "full"
"""


def family(pid: int) -> list[int]:
    """A process and those it has started."""
    children = (path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    return [pid, *(member for some in children for child in some for member in family(int(child)))]


def resident(pid: int) -> float:
    """Memory of one process, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1000


class Server:
    """A running server, what it costs, and a plain client for it."""

    def __init__(self, directory: Path, address: str, pid: int) -> None:
        self.url = f"https://{address}"
        self.address = address
        self.pid = pid
        pki = directory / "pki"
        self.context = ssl.create_default_context(cafile=pki / "ca.crt")
        admin = ssl.create_default_context(cafile=pki / "ca.crt")
        admin.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        self._admin = http.client.HTTPSConnection(address, context=admin)
        self._user = http.client.HTTPSConnection(address, context=self.context)

    def cpu(self) -> float:
        """Seconds of CPU all its threads have used, and those of the process that writes its store. The
        kernel counts these in nanoseconds."""
        tasks = (task for pid in family(self.pid) for task in Path(f"/proc/{pid}/task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def resident(self) -> float:
        """Memory in MB, the process that writes its store included (what they share counts twice)."""
        return sum(map(resident, family(self.pid)))

    def ask(
        self, method: str, path: str, body: object = None, *, admin: bool = False, media: str = "application/json"
    ) -> tuple[int, bytes]:
        """One request on a connection that stays open: status and body."""
        connection = self._admin if admin else self._user
        headers = {"Content-Type": media} if admin else {"Content-Type": media, "Authorization": f"Bearer {TOKEN}"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def make(self, path: str, obj: dict[str, Any]) -> dict[str, Any]:
        """Create an object as the administrator. Raises RuntimeError."""
        status, body = self.ask("POST", path, obj, admin=True)
        if status not in (200, 201, 409):
            raise RuntimeError(f"POST {path}: {status} {body.decode()}")
        return json.loads(body)  # type: ignore[no-any-return]

    def close(self) -> None:
        self._admin.close()
        self._user.close()


@contextmanager
def running(directory: Path) -> Iterator[Server]:
    """A server for the length of a block; its user "bench" may do everything by RBAC, but is no master."""
    data = directory / "data"
    tokens = directory / "tokens.csv"
    tokens.write_text(f"{TOKEN},bench,bench-uid\n")
    file = directory / "cluster.toml"
    file.write_text(CLUSTER.format(tokens=tokens))
    cluster = RealCluster(data, ("-f", str(file)))
    trio.run(cluster.start)
    address = cluster.kubeconfig.read_text().partition("server:")[2].split()[0].strip('"').rpartition("//")[2]
    server = Server(data, address, cluster.pid)
    try:
        server.make(
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            {
                "metadata": {"name": "bench"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "bench"}],
            },
        )
        yield server
    finally:
        server.close()
        trio.run(cluster.stop)


class Stopwatch:
    """Wall time and the server's CPU time of a block."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.wall = self.cpu = 0.0

    def __enter__(self) -> "Stopwatch":
        self._began = time.perf_counter(), self._server.cpu()
        return self

    def __exit__(self, *exception: object) -> None:
        wall, cpu = self._began
        self.wall, self.cpu = time.perf_counter() - wall, self._server.cpu() - cpu
