"""What a runtime waits for: ADD and DEL through the shims beside the programs Debian ships. Needs root.

    .venv/bin/python tests/bench/cni_add.py [--containers N]

N containers (20) are attached and detached, one after the other, in namespaces without a way out: through
our shims and agent, and by containernetworking's programs, with the same configuration (bridge with host-local;
no masquerading, for which those want iptables). "start" is a process that does nothing, started the same way.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

THEIRS = Path("/usr/lib/cni")
AGENT = Path(__file__).parents[1] / "root" / "cni_agent.py"


def sh(*words: str) -> None:
    subprocess.run(words, check=True)


@contextmanager
def namespaces(names: list[str]) -> Iterator[None]:
    with ExitStack() as stack:
        for name in names:
            sh("ip", "netns", "add", name)
            stack.callback(sh, "ip", "netns", "del", name)
        yield


@contextmanager
def agent(host: str, folder: Path) -> Iterator[Path]:
    """The agent's network in `host`; gives the folder of shims."""
    command = ["nsenter", f"--net=/run/netns/{host}", sys.executable, str(AGENT), str(folder), '{"bridge": "br0"}']
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield folder / "cni" / "bin"
        process.stdin.close()


def timed(host: str, program: Path | str, command: str, config: dict[str, Any], box: str, path: Path) -> float:
    environment = {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": box,
        "CNI_NETNS": f"/run/netns/{box}",
        "CNI_IFNAME": "eth0",
        "CNI_PATH": str(path),
        "PATH": os.environ["PATH"],
    }
    words = ["nsenter", f"--net=/run/netns/{host}", str(program)]
    text = json.dumps(config)
    began = time.perf_counter()
    subprocess.run(words, input=text, env=environment, capture_output=True, check=True, text=True)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--containers", type=int, default=20)
    count = parser.parse_args().containers
    if os.geteuid() != 0:
        sys.stdout.write("skipped: network namespaces need root\n")
        return
    host, boxes = f"kubrick-bench-{os.getpid()}", [f"kubrick-bench-{os.getpid()}-{n}" for n in range(count)]
    with tempfile.TemporaryDirectory() as scratch, namespaces([host, *boxes]), agent(host, Path(scratch) / "d") as ours:

        def measure(name: str, run: Callable[[str], float]) -> None:
            times = sorted(map(run, boxes))
            sys.stdout.write(f"{name:24} median {statistics.median(times):6.1f} ms   worst {times[-1]:6.1f} ms\n")

        measure("start", lambda box: timed(host, "/bin/true", "ADD", {}, box, ours))
        for who, path in (("ours", ours), ("theirs", THEIRS)):
            ipam = {"type": "host-local", "dataDir": f"{scratch}/{who}", "ranges": [[{"subnet": "10.22.0.0/16"}]]}
            config = {"cniVersion": "1.0.0", "name": who, "type": "bridge", "bridge": f"br-{who}", "isGateway": True}
            config["ipam"] = ipam
            measure(f"{who}: VERSION", lambda box, p=path, c=config: timed(host, p / "bridge", "VERSION", c, box, p))
            measure(f"{who}: loopback ADD", lambda box, p=path, c=config: timed(host, p / "loopback", "ADD", c, box, p))
            for command in ("ADD", "DEL"):
                measure(
                    f"{who}: bridge {command}",
                    lambda box, p=path, c=config, d=command: timed(host, p / "bridge", d, c, box, p),
                )


if __name__ == "__main__":
    main()
