"""The API server's speed and memory: TLS, a bearer token, RBAC, admission, SQLite with synchronous=FULL.

    .venv/bin/python tests/bench/serving.py [--seconds S] [--pods N] [--only WORD ...]

The server is a process of its own, loaded by wrk with one thread as Kubernetes' figures were (see `KUBERNETES`:
kube-apiserver and etcd on a machine of two cores). The load is on the same machine, so beside what was
measured stands what a request costs the server in CPU time: that varies less from run to run, and other work on the
machine does not add to it. An event of the watch bench is late from the moment its PATCH is sent.
"""

import argparse
import copy
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import _wrk
from _server import TOKEN, Server, Stopwatch, running

PODS = "/api/v1/namespaces/bench/pods"
WATCHED = "/api/v1/namespaces/watched/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/bench/deployments"
STORED = 2300
"""Bytes of a pod as stored: that of Kubernetes' scheduler_perf, on Kubernetes."""
PATCHED = 1000
WATCHERS = 1000
EVENTS = 100
PAGE = 500

POD: dict[str, Any] = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {"name": "@NAME@", "labels": {"app": "bench"}, "annotations": {"bench/padding": ""}},
    "spec": {
        "containers": [
            {
                "name": "pause",
                "image": "registry.k8s.io/pause:3.10.1",
                "ports": [{"containerPort": 80}],
                "resources": {"requests": {"cpu": "100m", "memory": "500Mi"}},
            }
        ]
    },
}

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "applied", "namespace": "bench", "labels": {"app": "applied"}},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "applied"}},
        "template": {"metadata": {"labels": {"app": "applied"}}, "spec": POD["spec"]},
    },
}

HEADING = f"{'':38} {'measured':>12} {'asked':>10} {'Kubernetes':>12}"


def row(name: str, measured: str, asked: str = "", kubernetes: str = "", *rest: str) -> None:
    print(f"{name:38} {measured:>12} {asked:>10} {kubernetes:>12}   {', '.join(rest)}", flush=True)


class Bench:
    """The steps, in order: the first ones make the pods that the others read."""

    def __init__(self, server: Server, directory: Path, seconds: int, pods: int) -> None:
        self.server = server
        self.directory = directory
        self.seconds = seconds
        self.pods = pods
        self.pod = copy.deepcopy(POD)
        self._idle = threading.Event()

    def prepare(self) -> None:
        """Namespaces, their service accounts, and a pod padded to the size it should have."""
        row("memory, empty", f"{self.server.resident():,.0f} MB", "", "288 MB")
        for namespace in ("bench", "watched"):
            self.server.make("/api/v1/namespaces", {"metadata": {"name": namespace}})
            account = {"metadata": {"name": "default"}}
            self.server.make(f"/api/v1/namespaces/{namespace}/serviceaccounts", account)
        self.server.make(WATCHED, self.named("measure-00000"))
        _, stored = self.server.ask("GET", f"{WATCHED}/measure-00000")
        self.server.ask("DELETE", f"{WATCHED}/measure-00000?gracePeriodSeconds=0")
        self.pod["metadata"]["annotations"]["bench/padding"] = "x" * max(STORED - len(stored), 0)

    def named(self, name: str) -> dict[str, Any]:
        return {**self.pod, "metadata": {**self.pod["metadata"], "name": name}}

    def load(
        self, url: str, script: str = "", connections: int = 32, headers: tuple[str, ...] = (), seconds: int = 0
    ) -> tuple[_wrk.Load, list[str]]:
        """Load, and what to say of it beside the rate."""
        with Stopwatch(self.server) as watch:
            load = _wrk.run(
                self.directory,
                self.server.url + url,
                TOKEN,
                script,
                connections=connections,
                seconds=seconds or self.seconds,
                headers=headers,
            )
        notes = [f"p50 {load.p50:.1f} ms, p99 {load.p99:.1f} ms", f"{watch.cpu / load.requests * 1e6:,.0f} µs CPU each"]
        if load.bad or load.broken:
            notes.append(f"{load.bad} REFUSED, {load.broken} BROKEN")
        return load, notes

    def create(self) -> None:
        """POST of all the pods."""
        script = _wrk.CREATE.format(body=json.dumps(self.named("@NAME@")), total=self.pods, path=PODS, name="pod-%06d")
        with Stopwatch(self.server) as watch:
            load, notes = self.load(PODS, script, headers=("Content-Type: application/json",), seconds=30)
        created = load.further.get("created", 0)
        if not created:
            raise SystemExit("the pods were not created in time; try a smaller --pods")
        row(
            "POST a pod, durable, 32 connections",
            f"{created / load.further['took']:,.0f}/s",
            "5,000/s",
            "1,770/s",
            notes[0],
            f"at most {watch.cpu / created * 1e6:,.0f} µs CPU each",
            *notes[2:],
        )
        row(f"memory with {self.pods:,} pods", f"{self.server.resident():,.0f} MB", "250 MB", "1,514 MB")

    def get(self) -> None:
        """GET of one pod."""
        one = f"{PODS}/pod-000100"
        for name, url, connections, asked, kubernetes in (
            ("GET a pod, 32 connections", one, 32, "15,000/s", "5,830/s"),
            ("GET a pod, resourceVersion=0", f"{one}?resourceVersion=0", 32, "", "10,790/s"),
            ("GET a pod, 1 connection", one, 1, "", "1,780/s"),
        ):
            load, notes = self.load(url, connections=connections)
            row(name, f"{load.rate:,.0f}/s", asked, kubernetes, *notes)

    def pages(self) -> Iterator[str]:
        """The paths of a list in pages, each with the token that the one before it gave."""
        path = f"{PODS}?limit={PAGE}"
        while True:
            yield path
            _, body = self.server.ask("GET", path)
            token = json.loads(body)["metadata"].get("continue")
            if not token:
                return
            path = f"{PODS}?limit={PAGE}&continue={token}"

    def list_pages(self) -> None:
        paths = list(self.pages())
        paths = paths[: max(1, self.pods // PAGE)]
        script = _wrk.CYCLE % ", ".join(f'"{path}"' for path in paths)
        load, notes = self.load("/", script, connections=4)
        megabytes = f"{load.bytes / load.seconds / 1e6:,.0f} MB/s"
        row(f"LIST {PAGE} pods per page, 4 connections", f"{load.rate:,.0f}/s", "600/s", "63/s", *notes, megabytes)

    def list_all(self) -> None:
        for name, path in (("", PODS), (", resourceVersion=0", f"{PODS}?resourceVersion=0")):
            size = 0
            walls = []
            with Stopwatch(self.server) as watch:
                for _ in range(5):
                    with Stopwatch(self.server) as each:
                        status, body = self.server.ask("GET", path)
                    assert status == 200, body[:200]
                    size = len(body)
                    walls.append(each.wall)
            row(
                f"LIST {self.pods:,} pods{name}",
                f"{watch.cpu / 5:.3f} s",
                "0.1 s",
                "0.62 s" if not name else "0.37 s",
                f"server time; last byte after {sorted(walls)[2]:.3f} s, {size / 1e6:.0f} MB",
            )

    def patch(self) -> None:
        body = json.dumps({"metadata": {"labels": {"round": "r@ROUND@"}}})
        script = _wrk.PATCH.format(objects=min(PATCHED, self.pods), path=f"{PODS}/pod-%06d", body=body)
        media = "Content-Type: application/strategic-merge-patch+json"
        load, notes = self.load("/", script, headers=(media,))
        row("PATCH one label of 1,000 pods", f"{load.rate:,.0f}/s", "4,000/s", "", *notes)

    def apply(self) -> None:
        """Server-side apply of what is there already."""
        path = f"{DEPLOYMENTS}/applied?fieldManager=bench"
        media = "application/apply-patch+yaml"
        status, _ = self.server.ask("PATCH", path, DEPLOYMENT, media=media)
        if status not in (200, 201):
            row("apply of an unchanged Deployment", "skipped", "2,000/s", "", f"the server answers {status}")
            return
        script = f"function request() return wrk.format('PATCH', '{path}', nil, [==[{json.dumps(DEPLOYMENT)}]==]) end"
        load, notes = self.load("/", script, headers=(f"Content-Type: {media}",))
        row("apply of an unchanged Deployment", f"{load.rate:,.0f}/s", "2,000/s", "", *notes)

    def watch(self) -> None:
        """A thousand watchers, while pods change at a steady pace."""
        for number in range(10):
            self.server.make(WATCHED, self.named(f"pod-{number:05}"))
        _, body = self.server.ask("GET", f"{WATCHED}?limit=1")
        revision = json.loads(body)["metadata"]["resourceVersion"]
        frames = EVENTS * self.seconds
        arguments = (self.server.address, str(self.directory / "data/pki/ca.crt"), TOKEN)
        path = f"{WATCHED}?watch=1&resourceVersion={revision}"
        command = [sys.executable, str(Path(__file__).with_name("_watchers.py")), *arguments, path]
        with subprocess.Popen([*command, str(WATCHERS), str(frames)], stdout=subprocess.PIPE, text=True) as watchers:
            assert watchers.stdout is not None
            if watchers.stdout.readline() != "watching\n":
                raise SystemExit("the watchers could not watch")
            with Stopwatch(self.server) as watch:
                began = time.perf_counter()
                for number in range(frames):
                    self._idle.wait(max(0.0, began + number / EVENTS - time.perf_counter()))
                    body = {"metadata": {"annotations": {"sent": f"{time.perf_counter():.6f}"}}}
                    media = "application/merge-patch+json"
                    self.server.ask("PATCH", f"{WATCHED}/pod-{number % 10:05}", body, media=media)
            told = json.loads(watchers.stdout.readline())
        row(
            f"{WATCHERS:,} watchers, {EVENTS} events/s: p99",
            f"{told['p99']:.0f} ms",
            "50 ms",
            "",
            f"p50 {told['p50']:.0f} ms, worst {told['worst']:.0f} ms",
            f"{WATCHERS - told['complete']} of them missed events",
        )
        row("  of one core", f"{watch.cpu / watch.wall:.0%}", "80%")


STEPS = ("create", "get", "list_pages", "list_all", "patch", "apply", "watch")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=3, help="of each load")
    parser.add_argument("--pods", type=int, default=14_000)
    parser.add_argument("--only", nargs="*", default=STEPS, choices=STEPS)
    options = parser.parse_args()
    if not _wrk.present():
        print(_wrk.MISSING)
        return
    with tempfile.TemporaryDirectory() as name, running(Path(name)) as server:
        bench = Bench(server, Path(name), options.seconds, options.pods)
        print(HEADING)
        bench.prepare()
        for step in STEPS:
            if step in options.only or step == "create":
                getattr(bench, step)()


if __name__ == "__main__":
    main()
