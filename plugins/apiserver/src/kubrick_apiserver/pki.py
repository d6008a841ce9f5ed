"""The cluster's certificates and keys under ``<data-dir>/pki``: made once, renewed when needed.

    ca.crt ca.key            the authority: signs the server's and all client certificates
    apiserver.crt .key       the server's
    admin.crt admin.key      kubernetes-admin of system:masters, embedded in admin.kubeconfig
    apiserver-kubelet-client.crt .key   what the server shows to the agents of nodes
    kubelet.crt .key         the serving certificate of this machine's agent, if it has one
    sa.key sa.pub            signs and checks service account tokens

All keys are ECDSA P-256. Files are written beside their place and renamed, mode 0600. A start that finds
everything in order reads a few small files and imports nothing; see `kubrick_http.der`.
"""

import os
from base64 import b64encode
from collections.abc import Iterable
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from kubrick_http import der
from kubrick_kernel import ConfigurationError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import CertificateBuilder

CA_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)
BACKDATE = timedelta(minutes=5)
"""Clocks differ: certificates are valid from a little before they are made."""
CLIENTS = {"admin": "kubernetes-admin", "apiserver-kubelet-client": "kube-apiserver-kubelet-client"}
"""Client certificates by file: whose they are."""


@frozen
class PKI:
    """Where everything is."""

    directory: Path
    kubeconfig: Path

    @property
    def ca_pem(self) -> str:
        return self.ca_file.read_text()

    @property
    def ca_file(self) -> Path:
        return self.directory / "ca.crt"

    @property
    def serving(self) -> tuple[Path, Path]:
        """Certificate and key of the server."""
        return self.directory / "apiserver.crt", self.directory / "apiserver.key"

    @property
    def agent_client(self) -> tuple[Path, Path]:
        """Certificate and key that the server shows to agents."""
        return self.directory / "apiserver-kubelet-client.crt", self.directory / "apiserver-kubelet-client.key"

    @property
    def service_account(self) -> tuple[Path, Path]:
        """Private and public key for service account tokens."""
        return self.directory / "sa.key", self.directory / "sa.pub"


def at(data_dir: Path) -> PKI:
    """Where everything is, or will be."""
    return PKI(data_dir / "pki", data_dir / "admin.kubeconfig")


def serving_pair(pki: PKI, file: str, user: str, group: str, names: Iterable[str], now: datetime) -> tuple[Path, Path]:
    """A serving certificate and its key for somebody else in this cluster (a node's agent): kept under `file`,
    renewed when needed."""
    wanted = frozenset(names)
    if not _good(pki.directory, file, now, wanted):
        _Maker(pki.directory, now).serving(wanted, file, user, group)
    return pki.directory / f"{file}.crt", pki.directory / f"{file}.key"


def ensure(data_dir: Path, names: Iterable[str], server: str, now: datetime, cluster: str = "kubrick") -> PKI:
    """Everything there and good for at least a month. `names` are the DNS names and addresses the serving
    certificate must hold, `server` the URL in the kubeconfig. Raises ConfigurationError."""
    pki = at(data_dir)
    try:
        pki.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _ensure(pki, frozenset(names), now)
        _write_kubeconfig(pki, server, cluster)
    except OSError as error:
        raise ConfigurationError(
            f"apiserver: cannot keep certificates under {pki.directory}: {error.strerror or error}; "
            "choose another directory with --data-dir"
        ) from error
    except (ValueError, TypeError) as error:
        raise ConfigurationError(
            f"apiserver: a key or certificate under {pki.directory} cannot be read: {error}; "
            "move it away to have a new one made"
        ) from error
    return pki


def _ensure(pki: PKI, names: frozenset[str], now: datetime) -> None:
    directory = pki.directory
    authority_is_new = not _good(directory, "ca", now)
    maker: _Maker | None = None
    if authority_is_new:
        maker = _Maker(directory, now)
        maker.authority()
    if authority_is_new or not _good(directory, "apiserver", now, names):
        maker = maker or _Maker(directory, now)
        maker.serving(names)
    for name, user in CLIENTS.items():
        if authority_is_new or not _good(directory, name, now):
            maker = maker or _Maker(directory, now)
            maker.client(name, user, "system:masters")
    if authority_is_new:
        (directory / "kubelet.crt").unlink(missing_ok=True)
    if not all(path.exists() for path in pki.service_account):
        maker = maker or _Maker(directory, now)
        maker.key_pair(*pki.service_account)


def _good(directory: Path, name: str, now: datetime, wanted: frozenset[str] = frozenset()) -> bool:
    """Whether a certificate and its key are there, in time, and hold all `wanted` names."""
    try:
        certificate = der.parse(der.from_pem((directory / f"{name}.crt").read_bytes()))
    except (FileNotFoundError, ValueError):
        return False
    in_time = certificate.not_before <= now and now + RENEW_BEFORE < certificate.not_after
    return in_time and (directory / f"{name}.key").exists() and wanted <= certificate.dns_names | certificate.addresses


def write_private(path: Path, content: bytes) -> None:
    """Atomically, and readable by the owner only."""
    beside = path.with_name(f".{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _write_kubeconfig(pki: PKI, server: str, cluster: str) -> None:
    """A kubeconfig that holds all it needs; left alone when it already says the same."""
    authority = b64encode(pki.ca_file.read_bytes()).decode()
    certificate = b64encode((pki.directory / "admin.crt").read_bytes()).decode()
    key = b64encode((pki.directory / "admin.key").read_bytes()).decode()
    text = f"""\
apiVersion: v1
kind: Config
clusters:
- name: {cluster}
  cluster:
    server: {server}
    certificate-authority-data: {authority}
users:
- name: kubernetes-admin
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: kubernetes-admin@{cluster}
  context:
    cluster: {cluster}
    user: kubernetes-admin
current-context: kubernetes-admin@{cluster}
preferences: {{}}
""".encode()
    if not pki.kubeconfig.exists() or pki.kubeconfig.read_bytes() != text:
        write_private(pki.kubeconfig, text)


class _Maker:
    """Makes what is missing. Importing cryptography takes long, so this is only made when needed."""

    def __init__(self, directory: Path, now: datetime) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

        self._x509, self._ec, self._hashes, self._serialization = x509, ec, hashes, serialization
        self._usages, self._oids = ExtendedKeyUsageOID, NameOID
        self._directory = directory
        self._now = now
        self._signer: tuple[x509.Certificate, EllipticCurvePrivateKey] | None = None

    def authority(self) -> None:
        """A new certificate authority."""
        x509 = self._x509
        key = self._ec.generate_private_key(self._ec.SECP256R1())
        name = self._name("kubernetes")
        builder = (
            self._builder(name, name, key, CA_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(self._key_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("kubernetes")]), critical=False)
        )
        certificate = builder.sign(key, self._hashes.SHA256())
        self._signer = certificate, key
        self._write("ca", certificate, key)

    def serving(
        self, names: frozenset[str], file: str = "apiserver", user: str = "kube-apiserver", group: str = ""
    ) -> None:
        """A server's certificate, for all `names`."""
        x509 = self._x509
        alternatives = [self._alternative(name) for name in sorted(names)]
        self._leaf(
            file,
            self._name(user, group),
            self._usages.SERVER_AUTH,
            x509.SubjectAlternativeName(alternatives),
        )

    def client(self, file: str, user: str, group: str) -> None:
        """A client certificate."""
        self._leaf(file, self._name(user, group), self._usages.CLIENT_AUTH, None)

    def key_pair(self, private: Path, public: Path) -> None:
        key = self._ec.generate_private_key(self._ec.SECP256R1())
        serialization = self._serialization
        write_private(private, self._key_pem(key))
        write_private(
            public,
            key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        )

    def _leaf(
        self, file: str, name: "x509.Name", usage: "x509.ObjectIdentifier", alternatives: "x509.ExtensionType | None"
    ) -> None:
        x509 = self._x509
        authority, authority_key = self._authority()
        key = self._ec.generate_private_key(self._ec.SECP256R1())
        builder = (
            self._builder(name, authority.subject, key, LEAF_LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(self._key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
        )
        if alternatives is not None:
            builder = builder.add_extension(alternatives, critical=False)
        self._write(file, builder.sign(authority_key, self._hashes.SHA256()), key)

    def _authority(self) -> "tuple[x509.Certificate, EllipticCurvePrivateKey]":
        if self._signer is None:
            certificate = self._x509.load_pem_x509_certificate((self._directory / "ca.crt").read_bytes())
            key = self._serialization.load_pem_private_key((self._directory / "ca.key").read_bytes(), None)
            if not isinstance(key, self._ec.EllipticCurvePrivateKey):
                raise ConfigurationError(f"{self._directory / 'ca.key'} holds no elliptic curve key")
            self._signer = certificate, key
        return self._signer

    def _builder(
        self, subject: "x509.Name", issuer: "x509.Name", key: "EllipticCurvePrivateKey", life: timedelta
    ) -> "CertificateBuilder":
        x509 = self._x509
        builder: CertificateBuilder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - BACKDATE)
            .not_valid_after(self._now + life)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        return builder

    def _name(self, common: str, organization: str = "") -> "x509.Name":
        attribute = self._x509.NameAttribute
        names = [attribute(self._oids.ORGANIZATION_NAME, organization)] if organization else []
        return self._x509.Name([*names, attribute(self._oids.COMMON_NAME, common)])

    def _alternative(self, name: str) -> "x509.GeneralName":
        try:
            return self._x509.IPAddress(ip_address(name))
        except ValueError:
            return self._x509.DNSName(name)

    def _key_usage(self, *, signs_certificates: bool) -> "x509.KeyUsage":
        return self._x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=signs_certificates,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=signs_certificates,
            crl_sign=False,
            encipher_only=False,
            decipher_only=False,
        )

    def _key_pem(self, key: "EllipticCurvePrivateKey") -> bytes:
        serialization = self._serialization
        return key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def _write(self, file: str, certificate: "x509.Certificate", key: "EllipticCurvePrivateKey") -> None:
        write_private(self._directory / f"{file}.key", self._key_pem(key))
        write_private(self._directory / f"{file}.crt", certificate.public_bytes(self._serialization.Encoding.PEM))
