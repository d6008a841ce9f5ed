"""What probes and lifecycle hooks do: run a command, ask over HTTP, open a connection, ask a gRPC health
service, or just wait. Thin; the words of failures are the kubelet's (Go's)."""

import json
import os
import ssl
from collections.abc import Sequence
from typing import Any
from urllib.parse import urljoin, urlsplit

import httptools
import trio
from attrs import define, field, frozen

from kubrick_node.expansion import expand_all
from kubrick_node.health import SERVING, STATUS, UNIMPLEMENTED, HealthFailure, check_health
from kubrick_node.probes import OUTPUT_LIMIT, Answer, Probe
from kubrick_node.runtime import ContainerRuntime, RuntimeFailure

Object = dict[str, Any]

USER_AGENT = "kube-probe/1.36"
REDIRECTS = 10
FOREVER = float("inf")


class HookFailure(Exception):
    """A lifecycle hook did not work; the message says why."""


@frozen
class Target:
    """The running container that is meant."""

    pod: Object
    container: Object
    id: str
    ip: str


class Actions:
    """Does them. One for the whole node, whose address is also that of the pods in its network."""

    def __init__(self, runtime: ContainerRuntime, host_ip: str = "") -> None:
        self._runtime = runtime
        self._host_ip = host_ip

    def target(self, pod: Object, container: Object, container_id: str, ips: Sequence[str]) -> Target:
        """A running container, by what the runtime says of its pod."""
        ip = self._host_ip if pod["spec"].get("hostNetwork") else ips[0] if ips else ""
        return Target(pod, container, container_id, ip)

    async def look(self, target: Target, probe: Probe) -> Answer:
        """One look, never longer than the probe's timeout (and never failing)."""
        action = probe.action
        try:
            if action.get("exec"):
                return await self._command(target, action["exec"].get("command") or (), probe.timeout)
            if action.get("httpGet"):
                return await self._http(target, action["httpGet"], probe.timeout)
            if action.get("tcpSocket"):
                return await _tcp(target, action["tcpSocket"], probe.timeout)
            if action.get("grpc"):
                return await _grpc(target, action["grpc"], probe.timeout)
        except (BadPort, ValueError) as error:
            return Answer(None, str(error))
        return Answer(None, f"missing probe handler for {target.container['name']}")

    async def hook(self, target: Target, handler: Object, timeout: float) -> None:
        """Run a postStart or preStop handler. Raises HookFailure; a timeout of 0 is none."""
        if handler.get("sleep"):
            await trio.sleep(min(handler["sleep"]["seconds"], timeout or FOREVER))
            return
        try:
            if handler.get("exec"):
                command = handler["exec"].get("command") or ()
                code, out, err = await self._runtime.exec_sync(target.pod, target.id, command, timeout)
                if code:
                    why = f"command '{' '.join(command)}' exited with {code}: {_text(err)}"
                    raise HookFailure(_hook_words(target, command, why, _text(out + err)))
            elif handler.get("httpGet"):
                await self._tell(_url(target, handler["httpGet"]), handler["httpGet"], timeout)
            elif handler.get("tcpSocket"):
                raise HookFailure("invalid handler: tcpSocket hooks are not supported")
        except RuntimeFailure as failure:
            raise HookFailure(_hook_words(target, handler["exec"].get("command") or (), failure.message, "")) from None
        except (BadPort, HTTPFailure, OSError) as error:
            path = handler["httpGet"].get("path") or ""
            where = f'for Container "{target.container["name"]}" in Pod "{_pod_words(target.pod)}"'
            raise HookFailure(f"HTTP lifecycle hook ({path}) {where} failed - error: {error}") from None

    async def _tell(self, url: str, action: Object, timeout: float) -> None:
        """Ask over HTTP without looking at the answer. Raises HTTPFailure."""
        try:
            with trio.fail_after(timeout or FOREVER):
                await _get(url, action.get("httpHeaders") or ())
        except trio.TooSlowError:
            raise HTTPFailure(f'Get "{url}": context deadline exceeded') from None
        except (OSError, HTTPFailure) as error:
            raise HTTPFailure(f'Get "{url}": {_dial_error(error, urlsplit(url).netloc)}') from None

    async def _command(self, target: Target, command: Sequence[str], timeout: float) -> Answer:
        # Variables with values of their own only, as the kubelet expands probes' commands.
        variables = {one["name"]: one.get("value") or "" for one in target.container.get("env") or ()}
        try:
            expanded = expand_all(command, variables)
            code, out, err = await self._runtime.exec_sync(target.pod, target.id, expanded, timeout)
        except RuntimeFailure as failure:
            if failure.reason == "DeadlineExceeded":
                text = f'command timed out: "{" ".join(command)}" timed out after {_go_seconds(timeout)}'
                return Answer(False, text)
            return Answer(None, failure.message)
        return Answer(code == 0, _text(out + err))

    async def _http(self, target: Target, action: Object, timeout: float) -> Answer:
        url = _url(target, action)
        try:
            with trio.fail_after(timeout):
                response = await _get(url, action.get("httpHeaders") or ())
        except trio.TooSlowError:
            why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
            return Answer(False, f'Get "{url}": {why}')
        except (OSError, HTTPFailure) as error:
            return Answer(False, f'Get "{url}": {_dial_error(error, urlsplit(url).netloc)}')
        body = _text(bytes(response.body))
        if 200 <= response.code < 300:
            return Answer(True, body)
        if 300 <= response.code < 400:
            return Answer(True, f"Probe terminated redirects, Response body: {body}", warning=True)
        return Answer(False, f"HTTP probe failed with statuscode: {response.code}")


def _hook_words(target: Target, command: Sequence[str], why: str, output: str) -> str:
    where = f'for Container "{target.container["name"]}" in Pod "{_pod_words(target.pod)}"'
    said = json.dumps(output, ensure_ascii=False)
    return f"Exec lifecycle hook ([{' '.join(command)}]) {where} failed - error: {why}, message: {said}"


def _pod_words(pod: Object) -> str:
    metadata = pod["metadata"]
    return f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"


class BadPort(ValueError):
    """A port that is neither a number nor the name of one of the container's."""


class HTTPFailure(Exception):
    """Something that is no HTTP answer."""


def port_number(container: Object, port: int | str) -> int:
    if isinstance(port, str) and not port.isdigit():
        named = (one["containerPort"] for one in container.get("ports") or () if one.get("name") == port)
        found = next(named, None)
        if found is None:
            raise BadPort(f"couldn't find port: {port} in container {container['name']}")
        port = found
    number = int(port)
    if not 0 < number < 65536:
        raise BadPort(f"invalid port number: {number}")
    return number


def _url(target: Target, action: Object) -> str:
    scheme = (action.get("scheme") or "HTTP").lower()
    host = action.get("host") or target.ip
    number = port_number(target.container, action["port"])
    path = action.get("path") or "/"
    return f"{scheme}://{_bracketed(host)}:{number}{path if path.startswith('/') else '/' + path}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@define
class _Response:
    """What a server said; filled by httptools' callbacks."""

    code: int = 0
    location: str = ""
    body: bytearray = field(factory=bytearray)
    done: bool = False
    parser: Any = None

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"location":
            self.location = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.code = self.parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        self.body += data[: OUTPUT_LIMIT - len(self.body)]

    def on_message_complete(self) -> None:
        self.done = True


async def _get(url: str, headers: Sequence[Object]) -> _Response:
    """GET, following redirects on the same host. Raises OSError and HTTPFailure."""
    first = urlsplit(url)
    for _ in range(REDIRECTS):
        response = await _get_once(url, headers)
        if not (300 <= response.code < 400 and response.location):
            return response
        onward = urljoin(url, response.location)
        if urlsplit(onward).hostname != first.hostname:
            return response
        url = onward
    raise HTTPFailure(f"stopped after {REDIRECTS} redirects")


async def _get_once(url: str, headers: Sequence[Object]) -> _Response:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    stream: trio.abc.Stream = await trio.open_tcp_stream(parts.hostname or "", port)
    if parts.scheme == "https":
        stream = trio.SSLStream(stream, _unverified(), https_compatible=True)
    wanted = {"Host": parts.netloc, "User-Agent": USER_AGENT, "Accept": "*/*", "Connection": "close"}
    wanted |= {header["name"]: header.get("value") or "" for header in headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in wanted.items())
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    response = _Response()
    response.parser = httptools.HttpResponseParser(response)
    async with stream:
        await stream.send_all(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        try:
            while not response.done and len(response.body) < OUTPUT_LIMIT:
                data = await stream.receive_some(16384)
                if not data:
                    break
                response.parser.feed_data(data)
        except trio.BrokenResourceError as error:
            raise HTTPFailure(f"read: {error.__cause__ or error}") from None
        except httptools.HttpParserError as error:
            raise HTTPFailure(
                f"net/http: HTTP/1.x transport connection broken: malformed HTTP response: {error}"
            ) from None
        await trio.aclose_forcefully(stream)
    if not response.code:
        raise HTTPFailure("EOF")
    return response


def _unverified() -> ssl.SSLContext:
    """A probe asks whether somebody answers, not who."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _dial_error(error: Exception, where: str) -> str:
    """trio wraps what connecting met; Go names the address and the call."""
    inner = error.__cause__
    causes = [error, inner, *getattr(inner, "exceptions", ())]
    for cause in reversed(causes):
        if isinstance(cause, OSError) and cause.errno:
            return f"dial tcp {where}: connect: {os.strerror(cause.errno).lower()}"
    return str(error)


async def _tcp(target: Target, action: Object, timeout: float) -> Answer:
    host = action.get("host") or target.ip
    number = port_number(target.container, action["port"])
    where = f"{_bracketed(host)}:{number}"
    try:
        with trio.fail_after(timeout):
            stream = await trio.open_tcp_stream(host, number)
            await stream.aclose()
    except trio.TooSlowError:
        return Answer(False, f"dial tcp {where}: i/o timeout")
    except OSError as error:
        return Answer(False, _dial_error(error, where))
    return Answer(True)


async def _grpc(target: Target, action: Object, timeout: float) -> Answer:
    number = port_number(target.container, action["port"])
    where, within = f"{_bracketed(target.ip)}:{number}", _go_seconds(timeout)
    connected = False
    try:
        with trio.fail_after(timeout):
            stream = await trio.open_tcp_stream(target.ip, number)
            connected = True
            async with stream:
                status = await check_health(stream, where, action.get("service") or "", USER_AGENT)
    except trio.TooSlowError:
        if connected:
            return Answer(False, f"timeout: health rpc did not complete within {within}")
        return Answer(False, f'timeout: failed to connect service "{where}" within {within}: i/o timeout')
    except OSError as error:
        why = _dial_error(error, where)
        return Answer(False, f'timeout: failed to connect service "{where}" within {within}: {why}')
    except HealthFailure as failure:
        if failure.code == UNIMPLEMENTED:
            why = "this server does not implement the grpc health protocol (grpc.health.v1.Health)"
            return Answer(False, f"error: {why}: {failure}")
        return Answer(False, f"error: health rpc failed: {failure}")
    if status == SERVING:
        return Answer(True)
    return Answer(False, f'service unhealthy (responded with "{STATUS.get(status, status)}")')


def _go_seconds(seconds: float) -> str:
    return f"{seconds:g}s"


def _text(data: bytes) -> str:
    return data[:OUTPUT_LIMIT].decode(errors="replace")
