"""Load by wrk (Debian's package): one thread, TLS, a bearer token; requests are made by a few lines of Lua."""

import json
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

MISSING = "this benchmark needs wrk: apt-get install wrk (serving_get needs nothing, and measures GETs alone)"

ENOUGH = "enough\n"
"""What a script prints when it has nothing left to do."""

DONE = """
function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '\\n{"requests": %d, "seconds": %f, "bytes": %d, "bad": %d, "broken": %d, "p50": %f, "p99": %f}\\n',
        summary.requests, summary.duration / 1e6, summary.bytes, errors.status,
        errors.connect + errors.read + errors.write + errors.timeout,
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""

CYCLE = """
local paths = {%s}
local requests, count, turn = {}, 0, 0
function init(args)
    for _, path in ipairs(paths) do
        count = count + 1
        requests[count] = wrk.format("GET", path)
    end
end
function request()
    turn = turn %% count + 1
    return requests[turn]
end
"""
"""GETs of several paths in turn."""

CREATE = """
local ffi = require("ffi")
ffi.cdef("typedef struct {{ long sec; long micros; }} timeval; int gettimeofday(timeval *now, void *zone);")
local now, began, count, idle, verified = ffi.new("timeval"), nil, 0, nil, false
local body, total = [==[{body}]==], {total}
local first, last = body:match("^(.-)@NAME@(.*)$")
local function time()
    ffi.C.gettimeofday(now, nil)
    return tonumber(now.sec) + tonumber(now.micros) / 1e6
end
function init(args)
    idle = wrk.format("GET", "/version")
end
function request()
    if not verified then  -- wrk asks for one request that it doesn't send
        verified = true
        return idle
    end
    if not began then began = time() end
    count = count + 1
    if count == total then
        io.write(string.format('\\n{{"created": %d, "took": %f}}\\n', total, time() - began))
    end
    if count > total then
        if count == total + 320 then
            io.write("enough\\n")
            io.flush()
        end
        return idle
    end
    return wrk.format("POST", "{path}", nil, first .. string.format("{name}", count) .. last)
end
"""
"""POSTs of `total` objects, each with its own name; after that harmless GETs until all are answered."""

PATCH = """
local count, round = 0, 0
function request()
    count = count + 1
    if count > {objects} then count, round = 1, round + 1 end
    return wrk.format("PATCH", string.format("{path}", count), nil, ([==[{body}]==]):gsub("@ROUND@", round))
end
"""
"""PATCHes of many objects in turn, with a body that says which round it is."""


@frozen
class Load:
    """What wrk measured. Latencies are in milliseconds; `further` is what the script itself printed."""

    requests: int
    seconds: float
    bytes: int
    bad: int
    """Answers with a status above 399."""
    broken: int
    """Connections that failed or timed out."""
    p50: float
    p99: float
    further: dict[str, Any]

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def present() -> bool:
    return shutil.which("wrk") is not None


def run(
    directory: Path,
    url: str,
    token: str,
    script: str,
    *,
    connections: int,
    seconds: int,
    headers: Sequence[str] = (),
) -> Load:
    """Load on `url` for `seconds`, by `script` (an empty one: GETs of that URL)."""
    file = directory / "load.lua"
    file.write_text(script + DONE)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(file)]
    for header in (f"Authorization: Bearer {token}", *headers):
        command += ["-H", header]
    with subprocess.Popen([*command, url], stdout=subprocess.PIPE, text=True) as wrk:
        assert wrk.stdout is not None
        out = ""
        for line in wrk.stdout:
            out += line
            if line == ENOUGH:
                wrk.send_signal(signal.SIGINT)  # it stops and tells what it measured
    told = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    numbers = next(each for each in told if "requests" in each)
    further = {name: value for each in told if "requests" not in each for name, value in each.items()}
    return Load(**numbers, further=further)
