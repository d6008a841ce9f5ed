"""A hundred clusters, one after another, leave nothing behind."""

import gc
import os
import threading

import trio

from kubrick_api_core import CONFIG_MAPS
from kubrick_testing import build, run_cluster
from kubrick_testing.process import RealCluster


def open_files() -> set[str]:
    """What this process has open, sockets and pipes included."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{fd} {os.readlink(f'/proc/self/fd/{fd}')}")
        except FileNotFoundError:
            continue
    return found


async def one_cluster() -> None:
    async with run_cluster() as cluster:
        await cluster.client.create(CONFIG_MAPS, build.config_map(a="b"), "default")


async def test_a_hundred_clusters_leave_no_task_thread_file_or_socket():
    await one_cluster()
    files, threads = open_files(), threading.active_count()
    tasks = trio.lowlevel.current_statistics().tasks_living
    for _ in range(100):
        await one_cluster()
    gc.collect()
    assert open_files() == files
    assert threading.active_count() <= threads  # an idle one of trio's may have ended meanwhile
    assert trio.lowlevel.current_statistics().tasks_living == tasks


async def test_a_stopped_process_leaves_no_process_and_no_lock(tmp_path):
    cluster = RealCluster(tmp_path / "data", ("--profile", "api"))
    await cluster.start()
    pid = cluster.pid
    assert await cluster.stop() == 0
    assert not await trio.Path(f"/proc/{pid}").exists()
    await cluster.start()
    assert await cluster.stop() == 0
