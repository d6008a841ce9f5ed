"""Writes each API group brick's resource table (resources.json) and its names (names.py).

The input is a facts file with Kubernetes' discovery data and printer columns; the output is data that
`kubrick_api.groups.load_groups` reads. Only generally available group-versions are taken.

    python tools/generate_api_resources.py path/to/api-resources.json
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

PLUGINS = Path(__file__).parent.parent / "plugins"

# Group → brick, discovery priority of the group and of its versions (as kube-aggregator orders them).
GROUPS = {
    "": ("core", 18000),
    "apiregistration.k8s.io": ("apiregistration", 18000 - 10),
    "apps": ("apps", 17800),
    "events.k8s.io": ("events", 17750),
    "authentication.k8s.io": ("authentication", 17700),
    "authorization.k8s.io": ("authorization", 17600),
    "autoscaling": ("autoscaling", 17500),
    "batch": ("batch", 17400),
    "certificates.k8s.io": ("certificates", 17300),
    "networking.k8s.io": ("networking", 17200),
    "policy": ("policy", 17100),
    "rbac.authorization.k8s.io": ("rbac", 17000),
    "storage.k8s.io": ("storage", 16800),
    "apiextensions.k8s.io": ("apiextensions", 16700),
    "admissionregistration.k8s.io": ("admissionregistration", 16650),
    "scheduling.k8s.io": ("scheduling", 16600),
    "coordination.k8s.io": ("coordination", 16500),
    "node.k8s.io": ("node", 16300),
    "discovery.k8s.io": ("discovery", 16200),
    "resource.k8s.io": ("resource", 16150),
    "flowcontrol.apiserver.k8s.io": ("flowcontrol", 16100),
}
SCHEMA_PACKAGES = {
    "apiextensions.k8s.io": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
    "apiregistration.k8s.io": "io.k8s.kube-aggregator.pkg.apis.apiregistration",
}
VERBS = {"post": "create", "put": "update"}
HTTP_CONNECT = {"proxy": ["create", "delete", "get", "patch", "update"]}
COLUMN_NAMES = {  # kinds whose columns the facts name otherwise than <kind>Column
    "Endpoints": "endpointColumn",
    "ClusterRoleBinding": "clusterRoleBindingsColumn",
    "RoleBinding": "roleBindingsColumn",
    "MutatingWebhookConfiguration": "mutatingWebhookColumn",
    "ValidatingWebhookConfiguration": "validatingWebhookColumn",
    "PriorityLevelConfiguration": "priorityLevelColumn",
    "ResourceSlice": "nodeResourceSliceColumn",
    "CSIDriver": "csiDriverColumn",
    "CSINode": "csiNodeColumn",
    "CSIStorageCapacity": "csiStorageCapacityColumn",
    "IPAddress": "ipAddressColumn",
    "PodDisruptionBudget": "podDisruptionBudgetColumn",
}
# What aggregated discovery says and the facts file leaves out.
ALSO: dict[str, dict[str, list[str]]] = {
    "ComponentStatus": {"shortNames": ["cs"]},
    **{
        f"{work}AdmissionPolicy{what}": {"categories": ["api-extensions"]}
        for work in ("Mutating", "Validating")
        for what in ("", "Binding")
    },
}
# Kinds whose printers take their columns from elsewhere: custom-resource style definitions.
OWN_COLUMNS = {
    "CustomResourceDefinition": [["Name", "string", "name", 0], ["Created At", "date", "", 0]],
    "APIService": [
        ["Name", "string", "name", 0],
        ["Service", "string", "", 0],
        ["Available", "string", "", 0],
        ["Age", "string", "", 0],
    ],
    "NetworkPolicy": [["Name", "string", "name", 0], ["Pod-Selector", "string", "", 0], ["Age", "string", "", 0]],
    "ControllerRevision": [
        ["Name", "string", "name", 0],
        ["Controller", "string", "", 0],
        ["Revision", "string", "", 0],
        ["Age", "string", "", 0],
    ],
    "Role": [["Name", "string", "name", 0], ["Created At", "date", "", 0]],
    "ClusterRole": [["Name", "string", "name", 0], ["Created At", "date", "", 0]],
    "LimitRange": [["Name", "string", "name", 0], ["Created At", "date", "", 0]],
    "ValidatingAdmissionPolicy": [
        ["Name", "string", "name", 0],
        ["Validations", "integer", "", 0],
        ["ParamKind", "string", "", 0],
        ["Age", "string", "", 0],
    ],
    "ValidatingAdmissionPolicyBinding": [
        ["Name", "string", "name", 0],
        ["PolicyName", "string", "", 0],
        ["ParamRef", "string", "", 0],
        ["Age", "string", "", 0],
    ],
    "MutatingAdmissionPolicy": [
        ["Name", "string", "name", 0],
        ["Mutations", "integer", "", 0],
        ["ParamKind", "string", "", 0],
        ["Age", "string", "", 0],
    ],
    "MutatingAdmissionPolicyBinding": [
        ["Name", "string", "name", 0],
        ["PolicyName", "string", "", 0],
        ["ParamRef", "string", "", 0],
        ["Age", "string", "", 0],
    ],
}


def verbs(facts: list[str], subresource: str = "") -> list[str]:
    """API verbs, sorted: HTTP's post and put under their API names; "connect" as its methods."""
    found = {VERBS.get(verb, verb) for verb in facts} - {"watchlist"}
    if "connect" in found:
        found = set(HTTP_CONNECT.get(subresource, ["create", "get"]))
    return sorted(found)


def constant(kind: str, plural: str) -> str:
    """PERSISTENT_VOLUME_CLAIMS from PersistentVolumeClaim and persistentvolumeclaims."""
    words = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+", kind)
    head = words[:-1]
    return "_".join([*(word.upper() for word in head), plural[len("".join(head)) :].upper()])


def columns(kind: str, printers: dict[str, Any]) -> list[Any]:
    name = COLUMN_NAMES.get(kind, kind[0].lower() + kind[1:] + "Column")
    return OWN_COLUMNS.get(kind) or printers.get(name, [])


def resource(path: str, entry: dict[str, Any], printers: dict[str, Any]) -> dict[str, Any]:
    group_version, _, plural = path.rpartition("/")
    group, _, version = group_version.rpartition("/")
    package = SCHEMA_PACKAGES.get(group, f"io.k8s.api.{GROUPS[group][0]}")
    kind = entry["kind"]
    entry = {**entry, **ALSO.get(kind, {})}
    table: dict[str, Any] = {
        "name": plural,
        "kind": kind,
        "singular": entry.get("singular") or kind.lower(),
        "namespaced": entry["namespaced"],
        "verbs": verbs(entry["verbs"]),
        "schema": f"{package}.{version}.{kind}",
    }
    for ours, theirs in (("short_names", "shortNames"), ("categories", "categories")):
        if entry.get(theirs):
            table[ours] = entry[theirs]
    if entry.get("subresources"):
        table["subresources"] = {
            name: {"kind": [sub["group"], sub["version"], sub["kind"]], "verbs": verbs(sub["verbs"], name)}
            for name, sub in sorted(entry["subresources"].items())
        }
    if found := columns(kind, printers):
        table["columns"] = found
    return table


def names_module(group: str, tables: list[dict[str, Any]]) -> str:
    lines = [
        f'"""The resources of {group or "the core group"}, by name. Written by tools/generate_api_resources.py."""',
        "",
        "from kubrick_api.names import GVR",
        "",
    ]
    newest: set[str] = set()
    constants = []
    for table in tables:
        for entry in table["resources"]:
            name = constant(entry["kind"], entry["name"])
            if name in newest:
                name = f"{name}_{table['version'].upper()}"
            newest.add(name)
            constants.append(f'{name} = GVR("{group}", "{table["version"]}", "{entry["name"]}")')
    return "\n".join([*lines, *sorted(constants), ""])


def compact(tables: list[dict[str, Any]]) -> str:
    """JSON with one resource per line: reviewable, and small."""
    groups = []
    for table in tables:
        head = ", ".join(f'"{key}": {json.dumps(table[key])}' for key in ("group", "version", "priority"))
        rows = ",\n".join(f"  {json.dumps(entry)}" for entry in table["resources"])
        groups.append(f'{{{head}, "resources": [\n{rows}\n]}}')
    return "[" + ",\n".join(groups) + "]\n"


def main(facts: Path) -> None:
    data = json.loads(facts.read_text())
    groups: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for path, entry in sorted(data["resources"].items()):
        group, _, version = path.rpartition("/")[0].rpartition("/")
        if re.fullmatch(r"v\d+", version):
            groups.setdefault(group, {}).setdefault(version, []).append(resource(path, entry, data["printer_columns"]))
    for group, versions in groups.items():
        brick, priority = GROUPS[group]
        package = PLUGINS / f"api-{brick}" / "src" / f"kubrick_api_{brick}"
        tables = [
            {"group": group, "version": version, "priority": priority, "resources": versions[version]}
            for version in sorted(versions, reverse=True)
        ]
        (package / "resources.json").write_text(compact(tables))
        (package / "names.py").write_text(names_module(group, tables))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
