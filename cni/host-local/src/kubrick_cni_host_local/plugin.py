"""The plugin host-local: reads its configuration, reserves, answers."""

from collections.abc import Mapping
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from attrs import frozen

from kubrick_cni_host_local.disk import DEFAULT_FOLDER, Book, locked
from kubrick_cni_host_local.ranges import RangeSet, parse_range_sets
from kubrick_network import DNS, SUPPORTED, Address, CNIError, Request, Result, Route, invalid, parse_result
from kubrick_network.errors import CHECK_FAILED, INTERNAL, IO_FAILURE, NOT_AVAILABLE
from kubrick_network.result import IP

NAME = "host-local"


@frozen
class Settings:
    """The ipam part of a configuration, read."""

    sets: tuple[RangeSet, ...]
    routes: tuple[Route, ...]
    folder: Path
    resolv_conf: str
    requested: tuple[IP, ...]


def read_settings(request: Request) -> Settings:
    """Raises CNIError saying what is wrong."""
    ipam = request.config.get("ipam")
    if not ipam:
        raise invalid("IPAM config missing 'ipam' key")
    return Settings(
        parse_range_sets(ipam, request.runtime),
        parse_result({"routes": ipam.get("routes") or []}).routes,
        folder(request),
        str(ipam.get("resolvConf") or ""),
        _requested(request, ipam),
    )


def folder(request: Request) -> Path:
    """Where the network's reservations are."""
    ipam: Mapping[str, Any] = request.config.get("ipam") or {}
    return Path(ipam.get("dataDir") or DEFAULT_FOLDER) / request.network


def _requested(request: Request, ipam: Mapping[str, Any]) -> tuple[IP, ...]:
    """Addresses asked for: the runtime's ``ips``, ``args.cni.ips``, or IP in CNI_ARGS."""
    arguments = (request.config.get("args") or {}).get("cni") or {}
    texts = [
        *(text for text in [request.args.get("IP", "")] if text),
        *(arguments.get("ips") or ()),
        *(request.runtime.get("ips") or ()),
    ]
    try:
        return tuple(dict.fromkeys(ip_interface(text).ip for text in texts))
    except ValueError as error:
        raise invalid("a requested IP is no address", str(error)) from error


def read_resolv_conf(text: str) -> DNS:
    """What a resolv.conf says."""
    nameservers: list[str] = []
    options: list[str] = []
    search: tuple[str, ...] = ()
    domain = ""
    for line in text.splitlines():
        if line.startswith(("#", ";")):
            continue
        match line.split():
            case ["nameserver", address, *_]:
                nameservers.append(address)
            case ["domain", name, *_]:
                domain = name
            case ["search", *names]:
                search = tuple(names)
            case ["options", *names]:
                options += names
            case _:
                pass
    return DNS(tuple(nameservers), domain, search, tuple(options))


class HostLocal:
    """Gives each container one address of every range set."""

    name = NAME
    versions = SUPPORTED

    def add(self, request: Request) -> Result:
        settings = read_settings(request)
        dns = DNS()
        if settings.resolv_conf:
            try:
                dns = read_resolv_conf(Path(settings.resolv_conf).read_text())
            except OSError as error:
                raise CNIError(IO_FAILURE, "resolvConf can't be read", str(error)) from error
        with locked(settings.folder) as book:
            ips = allocate(settings, book, request.attachment)
        return Result(ips=tuple(ips), routes=settings.routes, dns=dns)

    def delete(self, request: Request) -> None:
        path = folder(request)
        if not path.is_dir():
            return
        with locked(path) as book:
            for address in book.of(request.attachment):
                book.release(str(address))

    def check(self, request: Request) -> None:
        path = folder(request)
        found: list[IP] = []
        if path.is_dir():
            with locked(path) as book:
                found = book.of(request.attachment)
        if not found:
            raise CNIError(
                CHECK_FAILED, f"host-local: Failed to find address added by container {request.container_id}"
            )
        previous = request.previous
        listed = {one.address.ip for one in previous.ips} if previous else set()
        if listed and not listed & set(found):
            raise CNIError(
                CHECK_FAILED,
                f"host-local: container {request.container_id} has other addresses than were reserved",
                f"reserved are {', '.join(map(str, found))}",
            )

    def gc(self, request: Request) -> None:
        path, valid = folder(request), request.valid_attachments()
        if not path.is_dir():
            return
        containers = {container for container, _ in valid}
        with locked(path) as book:
            for name, (container, ifname) in list(book.entries()):
                if not ((container, ifname) in valid or (not ifname and container in containers)):
                    book.release(name)

    def status(self, request: Request) -> None:
        settings = read_settings(request)
        with locked(settings.folder) as book:
            taken = book.taken()
        for one in settings.sets:
            if one.choose(taken, None) is None:
                raise CNIError(NOT_AVAILABLE, f"no IP addresses available in range set: {one}")

    def teardown(self, request: Request) -> None:
        """Forgets everything about the network."""
        path = folder(request)
        if not path.is_dir():
            return
        with locked(path) as book:
            for name in book.taken():
                book.release(name)
        for file in path.iterdir():
            file.unlink()
        path.rmdir()


def allocate(settings: Settings, book: Book, owner: tuple[str, str]) -> list[Address]:
    """Reserve an address of each set for `owner`; all or none. Raises CNIError."""
    mine, taken = book.of(owner), book.taken()
    wanted = list(settings.requested)
    found: list[Address] = []
    try:
        for index, one in enumerate(settings.sets):
            for address in mine:
                if address in one:
                    raise CNIError(
                        INTERNAL,
                        f"failed to allocate for range {index}",
                        f"{address} has been allocated to {owner[0]}, duplicate allocation is not allowed",
                    )
            asked = next((address for address in wanted if address in one), None)
            if asked is not None:
                wanted.remove(asked)
            found.append(_reserve(one, index, asked, taken, book, owner))
        if wanted:
            raise CNIError(INTERNAL, "failed to allocate all requested IPs", ", ".join(map(str, wanted)))
    except CNIError:
        for given in found:
            book.release(str(given.address.ip))
        raise
    return found


def _reserve(
    one: RangeSet, index: int, asked: IP | None, taken: set[str], book: Book, owner: tuple[str, str]
) -> Address:
    def refused(why: str) -> CNIError:
        return CNIError(INTERNAL, f"failed to allocate for range {index}", why)

    if asked is not None:
        place = one.of(asked)
        assert place is not None
        if one.is_gateway(asked):
            raise refused(f"requested ip {asked} is subnet's gateway")
        if not book.reserve(asked, owner):
            raise refused(f"requested IP address {asked} is not available in range set {one}")
        return Address(place.interface(asked), place.gateway)
    chosen = one.choose(taken, book.last(index))
    if chosen is None:
        raise refused(f"no IP addresses available in range set: {one}")
    place, address = chosen
    if not book.reserve(address, owner, last_of=index):
        raise refused(f"{address} was taken by somebody who does not hold the lock")
    return Address(place.interface(address), place.gateway)
