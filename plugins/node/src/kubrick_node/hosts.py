"""The text of a pod's managed /etc/hosts. Pure.

Source: the kubelet's managedHostsFileContent: the machine's own file for pods in the host's network, else
localhost and the pod's name; hostAliases at the end.
"""

from collections.abc import Sequence
from typing import Any

Object = dict[str, Any]

HEADER = "# Kubernetes-managed hosts file.\n"
HOST_HEADER = "# Kubernetes-managed hosts file (host network).\n"
_LOCAL = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::\tip6-localnet\n"
    "fe00::\tip6-mcastprefix\n"
    "fe00::1\tip6-allnodes\n"
    "fe00::2\tip6-allrouters\n"
)


def hosts_file(pod: Object, ips: Sequence[str], hostname: str, domain: str, host_file: str = "") -> str:
    """`host_file` is the machine's own /etc/hosts, for pods in its network; `domain` the pod's DNS domain ("" when
    it has none)."""
    if pod["spec"].get("hostNetwork"):
        text = HOST_HEADER + host_file
    else:
        text = HEADER + _LOCAL
        for ip in ips:
            text += f"{ip}\t{hostname}.{domain}\t{hostname}\n" if domain else f"{ip}\t{hostname}\n"
    aliases = pod["spec"].get("hostAliases") or ()
    if aliases:
        if not text.endswith("\n"):
            text += "\n"
        text += "\n# Entries added by HostAliases.\n"
        for alias in aliases:
            text += "\t".join([alias["ip"], *(alias.get("hostnames") or ())]) + "\n"
    return text


def pod_hostname(pod: Object, cluster_domain: str, node_name: str = "") -> tuple[str, str]:
    """The pod's host name and its DNS domain ("" without a subdomain)."""
    spec, metadata = pod["spec"], pod["metadata"]
    if spec.get("hostnameOverride"):
        return spec["hostnameOverride"], ""
    name = spec.get("hostname") or metadata["name"]
    if spec.get("hostNetwork") and node_name:
        return node_name, ""
    name = name[:63].rstrip("-.")
    subdomain = spec.get("subdomain")
    domain = f"{subdomain}.{metadata['namespace']}.svc.{cluster_domain}" if subdomain else ""
    return name, domain


def kernel_hostname(pod: Object, hostname: str, domain: str) -> str:
    """What the kernel says in the pod: with setHostnameAsFQDN the whole name."""
    return f"{hostname}.{domain}" if domain and pod["spec"].get("setHostnameAsFQDN") else hostname
