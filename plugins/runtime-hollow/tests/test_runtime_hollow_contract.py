"""The hollow runtime keeps the contract of all container runtimes."""

from ipaddress import IPv4Network

import pytest

from kubrick_kernel import TrioClock
from kubrick_kernel.clock import Random
from kubrick_node.testing.runtime import CHECKS, Subject
from kubrick_runtime_hollow.runtime import Addresses, HollowRuntime


def make_pod(name, annotations):
    return {
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}", "annotations": annotations},
        "spec": {"containers": [{"name": "main", "image": "busybox"}]},
    }


def living(name):
    return make_pod(name, {})


def ending(name, code):
    return make_pod(name, {"hollow.kubrick.dev/exit-after": "200ms", "hollow.kubrick.dev/exit-code": str(code)})


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_the_hollow_runtime_keeps_the_contract(check, autojump_clock):
    hollow = HollowRuntime(Addresses(IPv4Network("10.1.0.0/28")), TrioClock(), Random(1))
    await check(Subject(hollow, living, ending))


async def test_an_address_is_given_back_once(autojump_clock):
    hollow = HollowRuntime(Addresses(IPv4Network("10.1.0.0/29")), TrioClock(), Random(1))
    first = living("first")
    sandbox = await hollow.run_sandbox(first, 0)
    await hollow.stop_sandbox(first, sandbox)
    taken = []
    for index in range(5):
        other = living(f"other-{index}")
        await hollow.run_sandbox(other, 0)
        taken += (await hollow.observe(other)).ips
    await hollow.stop_sandbox(first, sandbox)
    assert len(set(taken)) == 5
    assert len(hollow._addresses._used) == 5
