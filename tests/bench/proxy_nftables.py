"""10,000 Services with 10 endpoints each: compiled, sent to the kernel, and then one more of this and that.

    .venv/bin/python tests/bench/proxy_nftables.py [--services N] [--endpoints N]

It runs as root, in a network namespace of its own that goes away with it.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import trio

from kubrick_proxy_nftables.compiler import compile_service
from kubrick_proxy_nftables.families import IPV4
from kubrick_proxy_nftables.nft import open_nft
from kubrick_proxy_nftables.rules import GUARD, NODE, Policy, guard_part, node_part
from kubrick_proxy_nftables.ruleset import Part, Ruleset
from kubrick_proxy_nftables.topology import Node

Object = dict[str, Any]
HERE = Node("node-1", "", ("172.16.0.2",), ("10.128.0.0/24",))
POLICIES = {IPV4: Policy(pod_ranges=HERE.pod_cidrs)}
REPEATS = 20


def dotted(first: int, number: int) -> str:
    return f"{first + (number >> 24)}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def service(number: int) -> Object:
    return {
        "metadata": {"namespace": "default", "name": f"service-{number}"},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": dotted(10, 0x600000 + number),
            "clusterIPs": [dotted(10, 0x600000 + number)],
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}],
        },
    }


def endpoint_slice(number: int, count: int) -> Object:
    return {
        "metadata": {"namespace": "default", "name": f"service-{number}-x"},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [
            {
                "addresses": [dotted(10, 0x800000 + number * 16 + place)],
                "conditions": {"ready": True},
                "nodeName": f"node-{place}",
            }
            for place in range(count)
        ],
    }


def part(number: int, endpoints: int) -> Part:
    return compile_service(service(number), [endpoint_slice(number, endpoints)], HERE, POLICIES).parts[IPV4]


class Bench:
    def __init__(self, services: int, endpoints: int) -> None:
        self.services, self.endpoints = services, endpoints
        self.ruleset = Ruleset(IPV4)
        self.nft = open_nft()

    def run(self) -> None:
        began = time.perf_counter()
        parts: dict[str, Part | None] = {GUARD: guard_part(IPV4, ["10.96.0.0/12"])}
        parts[NODE] = node_part(IPV4, HERE, POLICIES[IPV4])
        parts |= {f"default/service-{number}": part(number, self.endpoints) for number in range(self.services)}
        self.ruleset.update(parts, 0.0)
        commands = self.ruleset.scratch()
        compiled = time.perf_counter()
        self.nft.run(commands)
        applied = time.perf_counter()
        print(
            f"{self.services:,} services x {self.endpoints} endpoints: compiled in {compiled - began:.2f} s "
            f"({len(commands) / 1e6:.1f} MB), applied in {applied - compiled:.2f} s, together {applied - began:.2f} s"
        )
        trio.run(trio.sleep, 1)  # the kernel frees the old generation meanwhile, as it would between two syncs
        for name, steps in (
            ("one service more", self.more_services()),
            ("one endpoint more", self.endpoint_changes(self.endpoints + 1)),
            ("one endpoint less", self.endpoint_changes(self.endpoints)),
            ("one service gone", self.fewer_services()),
        ):
            seconds = [self.sync(owner, wanted) for owner, wanted in steps]
            print(f"{name}: median {statistics.median(seconds) * 1e3:.2f} ms, longest {max(seconds) * 1e3:.2f} ms")
        began = time.perf_counter()
        assert self.ruleset.update({"default/service-0": part(0, self.endpoints)}, 0.0) == ""
        print(f"no-op sync: nothing sent, {(time.perf_counter() - began) * 1e6:.0f} µs")
        print(f"largest resident size: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")

    def more_services(self) -> Iterator[tuple[str, Part | None]]:
        for number in range(self.services, self.services + REPEATS):
            yield f"default/service-{number}", part(number, self.endpoints)

    def fewer_services(self) -> Iterator[tuple[str, Part | None]]:
        for number in range(self.services, self.services + REPEATS):
            yield f"default/service-{number}", None

    def endpoint_changes(self, count: int) -> Iterator[tuple[str, Part | None]]:
        for number in range(REPEATS):
            yield f"default/service-{number}", part(number, count)

    def sync(self, owner: str, wanted: Part | None) -> float:
        """Seconds of the difference and its transaction. (Compiling takes 50 µs more.)"""
        began = time.perf_counter()
        commands = self.ruleset.update({owner: wanted}, 0.0)
        assert commands
        self.nft.run(commands)
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--endpoints", type=int, default=10)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("needs root, for a network namespace of its own")
    elif not options.inside:
        command = ["unshare", "--net", sys.executable, __file__, *sys.argv[1:], "--inside"]
        subprocess.run(command, check=True)
    else:
        Bench(options.services, options.endpoints).run()


if __name__ == "__main__":
    main()
