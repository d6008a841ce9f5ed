"""Reads a kubeconfig file: which server, how to trust it, who to be.

What a user can write there is kubectl's format: clusters, users and contexts, with certificates in
files or embedded, a token or a token file, or user and password.
"""

import base64
import os
import ssl
import tempfile
from pathlib import Path
from typing import Any

from attrs import field, frozen

from kubrick_client.transport import Unreachable
from kubrick_kernel import ConfigurationError

Object = dict[str, Any]


@frozen
class Access:
    """One context of a kubeconfig, resolved. Certificates and keys are PEM; "" means none."""

    server: str
    ca: str = ""
    insecure: bool = False
    server_name: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    token_file: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    namespace: str = "default"

    def tls(self) -> ssl.SSLContext:
        """How to talk TLS to this server. Raises ConfigurationError for certificates that can't be used."""
        try:
            return self._tls()
        except ssl.SSLError as error:
            raise ConfigurationError(
                f"kubeconfig for {self.server}: its certificates or key cannot be used: {error.reason or error}"
            ) from None

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.ca or None)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.certificate:
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as pair:  # ssl reads keys from files only; 0600
                pair.write(f"{self.certificate}\n{self.key}\n")
                pair.flush()
                context.load_cert_chain(pair.name)
        return context

    def authorization(self) -> str:
        """The Authorization header, or ""; a token file is read anew, since tokens are rotated. Raises
        Unreachable while it can't be read."""
        try:
            token = Path(self.token_file).read_text().strip() if self.token_file else self.token
        except OSError as error:
            raise Unreachable(f"token file {self.token_file}: {error.strerror}") from None
        if token:
            return f"Bearer {token}"
        if self.user:
            return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return ""


def default_path() -> Path:
    """$KUBECONFIG's first file, else ~/.kube/config."""
    named = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    return Path(named) if named else Path.home() / ".kube" / "config"


def load_kubeconfig(path: str | Path = "", context: str = "") -> Access:
    """The context called `context` ("": the current one) of the file. Raises ConfigurationError."""
    import yaml

    file = Path(path) if path else default_path()
    try:
        document = yaml.load(file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}; name a kubeconfig file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: not YAML: {' '.join(str(error).split())}") from None
    try:
        return resolve(document, context, file)
    except (TypeError, AttributeError, KeyError):
        raise ConfigurationError(f"{file}: not a kubeconfig file") from None


def resolve(document: Object, context: str, file: Path) -> Access:
    """One context of a parsed kubeconfig. Relative file names are relative to `file`'s folder."""
    name = context or document.get("current-context") or ""
    if not name:
        raise ConfigurationError(f"{file}: no current-context; name one of {_names(document, 'contexts')}")
    chosen = _entry(document, "contexts", name, "context", file)
    cluster = _entry(document, "clusters", chosen.get("cluster", ""), "cluster", file)
    user = _entry(document, "users", chosen["user"], "user", file) if chosen.get("user") else {}
    if not cluster.get("server", "").startswith(("https://", "http://")):
        raise ConfigurationError(f"{file}: cluster {chosen.get('cluster')!r} has no server such as https://HOST:PORT")
    for unsupported in ("exec", "auth-provider"):
        if unsupported in user:
            raise ConfigurationError(
                f"{file}: user {chosen['user']!r} uses {unsupported}, which is not supported; "
                "use a client certificate or a token"
            )
    token_file = user.get("tokenFile", "")
    return Access(
        server=cluster["server"].rstrip("/"),
        ca=_pem(cluster, "certificate-authority", file),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        server_name=cluster.get("tls-server-name", ""),
        certificate=_pem(user, "client-certificate", file),
        key=_pem(user, "client-key", file),
        token=user.get("token", ""),
        token_file=str(file.parent / token_file) if token_file else "",
        user=user.get("username", ""),
        password=user.get("password", ""),
        namespace=chosen.get("namespace") or "default",
    )


def _names(document: Object, section: str) -> str:
    return ", ".join(sorted(str(each.get("name")) for each in document.get(section) or ())) or "none"


def _entry(document: Object, section: str, name: str, key: str, file: Path) -> Object:
    for entry in document.get(section) or ():
        if entry.get("name") == name:
            found: Object = entry.get(key) or {}
            return found
    raise ConfigurationError(f"{file}: no {key} called {name!r}; there are: {_names(document, section)}")


def _pem(entry: Object, name: str, file: Path) -> str:
    """Embedded data goes before a file."""
    if data := entry.get(f"{name}-data"):
        try:
            return base64.b64decode(data, validate=True).decode()
        except ValueError:
            raise ConfigurationError(f"{file}: {name}-data is not base64") from None
    if not entry.get(name):
        return ""
    path = file.parent / str(entry[name])
    try:
        return path.read_text()
    except OSError as error:
        raise ConfigurationError(f"{file}: {name} {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{file}: {name} {path}: not PEM") from None
