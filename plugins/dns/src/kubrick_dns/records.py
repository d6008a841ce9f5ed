"""Which records the cluster has. Pure: services, endpoint slices and namespaces in, answers out.

Source: Kubernetes' DNS-based service discovery specification, schema version 1.1.0; names beyond it
(endpoints named by their address, pods by theirs) as CoreDNS' kubernetes plugin has them.
"""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Any

from attrs import define, field, frozen

Object = dict[str, Any]

SCHEMA = "1.1.0"
SERVICE_NAME = "kubernetes.io/service-name"


@frozen
class Record:
    """One answer. `data` is an address (A, AAAA), a name (CNAME, PTR), text (TXT), or
    (priority, weight, port, target) for SRV. Names are lower case without the final dot."""

    name: str
    type: str
    data: Any


@frozen
class Answer:
    """What the cluster says to a question. `exists` False means NXDOMAIN; True without records that the
    name has none of that type. `additional` are addresses of the targets in `records`."""

    exists: bool
    records: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()


@define(eq=False)
class Backend:
    """What stands behind one service: the object, and its slices by name."""

    service: Object | None = None
    slices: dict[str, Object] = field(factory=dict)

    def endpoints(self) -> Iterator[tuple[Object, Object]]:
        """(slice, endpoint) of every endpoint that counts: ready ones, or all where the service says so."""
        publish = bool(self.service and self.service["spec"].get("publishNotReadyAddresses"))
        for one in self.slices.values():
            for endpoint in one.get("endpoints") or ():
                ready = (endpoint.get("conditions") or {}).get("ready")
                if publish or ready is None or ready:
                    yield one, endpoint


NOTHING = Answer(False)
EMPTY = Answer(True)


class Records:
    """Every record of one cluster domain, kept up to date object by object."""

    def __init__(self, domain: str) -> None:
        self.domain = domain.strip(".").lower()
        self._suffix = "." + self.domain
        self._namespaces: set[str] = set()
        self._backends: dict[str, dict[str, Backend]] = {}
        self._by_address: dict[str, dict[str, str]] = {}

    # Objects, as they come and go.

    def put_namespace(self, namespace: Object) -> None:
        self._namespaces.add(namespace["metadata"]["name"])

    def drop_namespace(self, namespace: Object) -> None:
        self._namespaces.discard(namespace["metadata"]["name"])

    def put_service(self, service: Object) -> None:
        backend = self._backend(service["metadata"]["namespace"], service["metadata"]["name"])
        self._forget_addresses(backend.service)
        backend.service = service
        for address in cluster_ips(service):
            self._by_address.setdefault(address, {})[_key(service)] = self.service_name(service)

    def drop_service(self, service: Object) -> None:
        metadata = service["metadata"]
        self._forget_addresses(service)
        self._backend(metadata["namespace"], metadata["name"]).service = None
        self._tidy(metadata["namespace"], metadata["name"])

    def _forget_addresses(self, service: Object | None) -> None:
        for address in cluster_ips(service) if service else ():
            names = self._by_address.get(address, {})
            names.pop(_key(service or {}), None)
            if not names:
                self._by_address.pop(address, None)

    def put_slice(self, one: Object) -> None:
        metadata = one["metadata"]
        self.drop_slice(one)
        name = (metadata.get("labels") or {}).get(SERVICE_NAME)
        if name:
            self._backend(metadata["namespace"], name).slices[metadata["name"]] = one

    def drop_slice(self, one: Object) -> None:
        metadata = one["metadata"]
        for name, backend in list(self._backends.get(metadata["namespace"], {}).items()):
            if backend.slices.pop(metadata["name"], None) is not None:
                self._tidy(metadata["namespace"], name)

    def _backend(self, namespace: str, name: str) -> Backend:
        return self._backends.setdefault(namespace, {}).setdefault(name, Backend())

    def _tidy(self, namespace: str, name: str) -> None:
        space = self._backends[namespace]
        if space[name].service is None and not space[name].slices:
            del space[name]
            if not space:
                del self._backends[namespace]

    # Questions.

    def owns(self, name: str) -> bool:
        """Whether the name is the cluster's to answer: below its domain, or the reverse name of an address
        that one of its services has."""
        if name == self.domain or name.endswith(self._suffix):
            return True
        address = address_of(name)
        return address is not None and any(True for _ in self._reverse(address))

    def answer(self, name: str, kind: str) -> Answer:
        """The answer for a name that `owns` holds of; lower case, without the final dot."""
        address = address_of(name)
        if address is not None:
            found = tuple(Record(name, "PTR", target) for target in self._reverse(address))
            return Answer(True, found if kind in ("PTR", "ANY") else ())
        labels = name[: -len(self._suffix)].split(".") if name != self.domain else []
        if not labels:
            return EMPTY
        if labels == ["dns-version"]:
            return Answer(True, (Record(name, "TXT", SCHEMA),) if kind in ("TXT", "ANY") else ())
        if labels[-1] == "svc":
            return self._below_svc(name, labels[:-1], kind)
        if labels[-1] == "pod":
            return self._below_pod(name, labels[:-1], kind)
        return NOTHING

    def _below_pod(self, name: str, labels: list[str], kind: str) -> Answer:
        if len(labels) < 2:
            return EMPTY if not labels or labels[0] in self._namespaces else NOTHING
        if len(labels) > 2 or labels[1] not in self._namespaces:
            return NOTHING
        address = _undashed(labels[0])
        return NOTHING if address is None else Answer(True, _addresses(name, [address], kind))

    def _below_svc(self, name: str, labels: list[str], kind: str) -> Answer:
        if not labels:
            return EMPTY
        namespace = labels[-1]
        if namespace not in self._namespaces:
            return NOTHING
        if len(labels) == 1:
            return EMPTY
        backend = self._backends.get(namespace, {}).get(labels[-2])
        if backend is None or backend.service is None:
            return NOTHING
        return self._of_service(name, backend, backend.service, labels[:-2], kind)

    def _of_service(self, name: str, backend: Backend, service: Object, labels: list[str], kind: str) -> Answer:
        spec = service["spec"]
        if spec.get("type") == "ExternalName":
            target = str(spec.get("externalName", "")).rstrip(".").lower()
            return Answer(True, (Record(name, "CNAME", target),)) if not labels else NOTHING
        headless = spec.get("clusterIP") == "None"
        if not labels:
            addresses = list(_endpoint_addresses(backend)) if headless else cluster_ips(service)
            if headless and not addresses:
                return NOTHING
            return Answer(True, _addresses(name, addresses, kind))
        if len(labels) == 2 and labels[0].startswith("_") and labels[1].startswith("_"):
            return self._ports(name, backend, service, labels[0][1:], labels[1][1:], kind)
        if len(labels) == 1 and labels[0].startswith("_"):
            found = any(p.get("protocol", "TCP").lower() == labels[0][1:] for p in spec.get("ports") or ())
            return EMPTY if found else NOTHING
        if len(labels) == 1 and headless:
            addresses = [a for host, a in _hosts(backend) if host == labels[0]]
            return Answer(True, _addresses(name, addresses, kind)) if addresses else NOTHING
        return NOTHING

    def _ports(self, name: str, backend: Backend, service: Object, port: str, protocol: str, kind: str) -> Answer:
        """SRV records of a named port."""
        base = self.service_name(service)
        records: list[Record] = []
        extra: list[Record] = []
        if service["spec"].get("clusterIP") == "None":
            for one, endpoint in backend.endpoints():
                for number in _numbers(one.get("ports"), port, protocol):
                    for address in endpoint["addresses"]:
                        target = f"{endpoint.get('hostname') or _dashed(address)}.{base}"
                        records.append(Record(name, "SRV", (0, 100, number, target)))
                        extra += _addresses(target, [address], "ANY")
        else:
            for number in _numbers(service["spec"].get("ports"), port, protocol, "port"):
                records.append(Record(name, "SRV", (0, 100, number, base)))
                extra += _addresses(base, cluster_ips(service), "ANY")
        if not records:
            return NOTHING
        if kind not in ("SRV", "ANY"):
            return EMPTY
        return Answer(True, tuple(records), tuple(dict.fromkeys(extra)))

    def _reverse(self, address: str) -> Iterator[str]:
        """Names that an address has: its service's, or those of headless endpoints with a hostname."""
        yield from self._by_address.get(address, {}).values()
        for space in self._backends.values():
            for backend in space.values():
                service = backend.service
                if service is None or service["spec"].get("clusterIP") != "None":
                    continue
                for _, endpoint in backend.endpoints():
                    if address in endpoint["addresses"] and endpoint.get("hostname"):
                        yield f"{endpoint['hostname']}.{self.service_name(service)}"

    def service_name(self, service: Object) -> str:
        metadata = service["metadata"]
        return f"{metadata['name']}.{metadata['namespace']}.svc{self._suffix}"


def cluster_ips(service: Object) -> list[str]:
    """The service's own addresses; none when it is headless or has none yet."""
    spec = service["spec"]
    found = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    return [str(ip_address(ip)) for ip in found if ip != "None"]


def _key(service: Object) -> str:
    return f"{service['metadata']['namespace']}/{service['metadata']['name']}"


def _numbers(ports: Iterable[Object] | None, name: str, protocol: str, key: str = "port") -> Iterator[int]:
    for port in ports or ():
        if port.get("name", "") == name and port.get("protocol", "TCP").lower() == protocol:
            yield port[key]


def _endpoint_addresses(backend: Backend) -> Iterator[str]:
    yield from dict.fromkeys(address for _, endpoint in backend.endpoints() for address in endpoint["addresses"])


def _hosts(backend: Backend) -> Iterator[tuple[str, str]]:
    """(name, address) of each endpoint: its hostname, and its address with dashes."""
    for _, endpoint in backend.endpoints():
        for address in endpoint["addresses"]:
            if endpoint.get("hostname"):
                yield endpoint["hostname"], address
            yield _dashed(address), address


def _addresses(name: str, addresses: Iterable[str], kind: str) -> tuple[Record, ...]:
    made = (Record(name, "AAAA" if ":" in address else "A", address) for address in addresses)
    return tuple(record for record in made if kind in (record.type, "ANY"))


def _dashed(address: str) -> str:
    return address.replace(".", "-").replace(":", "-")


def _undashed(label: str) -> str | None:
    """The address that a label with dashes means, or None."""
    for separator in (".", ":"):
        try:
            return str(ip_address(label.replace("-", separator)))
        except ValueError:
            continue
    return None


def address_of(name: str) -> str | None:
    """The address of a reverse name (in-addr.arpa, ip6.arpa), or None."""
    try:
        if name.endswith(".in-addr.arpa"):
            return str(ip_address(".".join(reversed(name.removesuffix(".in-addr.arpa").split(".")))))
        if name.endswith(".ip6.arpa"):
            digits = "".join(reversed(name.removesuffix(".ip6.arpa").split(".")))
            if len(digits) == 32:
                return str(ip_address(":".join(digits[i : i + 4] for i in range(0, 32, 4))))
    except ValueError:
        pass
    return None
