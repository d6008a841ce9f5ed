"""Static pods: manifests in a folder of the machine, run whether there is an API server or not, and shown there
by mirror pods. Pure but for `read_folder`.

Source: the kubelet's config.applyDefaults and the mirror client: the name gets the node's behind it, the uid is a
hash of the manifest, and the mirror carries that hash.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

Object = dict[str, Any]

CHECK_SECONDS = 20.0
LOOK_SECONDS = 1.0
"""How soon a changed file is seen; everything is checked more rarely."""
SOURCE, HASH, MIRROR = "kubernetes.io/config.source", "kubernetes.io/config.hash", "kubernetes.io/config.mirror"
SUFFIXES = (".yaml", ".yml", ".json")


class BadManifest(ValueError):
    """A file that is no pod; the message names it."""


def is_mirror(pod: Object) -> bool:
    return MIRROR in (pod["metadata"].get("annotations") or {})


def static_pod(text: str, file: str, node_name: str) -> Object:
    """The pod a manifest asks for. Raises `BadManifest`."""
    import yaml

    from kubrick_api_core.pod_defaults import default_pod

    try:
        loaded = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 -- both are safe
    except yaml.YAMLError as error:
        raise BadManifest(f"{file}: not YAML: {error}") from None
    if not isinstance(loaded, dict) or loaded.get("kind") != "Pod" or not isinstance(loaded.get("spec"), dict):
        raise BadManifest(f"{file}: a static pod is a Pod with a spec")
    metadata = loaded.setdefault("metadata", {})
    name = metadata.get("name")
    if not name:
        raise BadManifest(f"{file}: metadata.name is missing")
    if not loaded["spec"].get("containers"):
        raise BadManifest(f"{file}: spec.containers is missing")
    digest = hashlib.md5(usedforsecurity=False)
    digest.update(json.dumps([node_name, file, loaded], sort_keys=True, default=str).encode())
    uid = digest.hexdigest()
    metadata.setdefault("namespace", "default")
    metadata["name"] = f"{name}-{node_name}"
    metadata["uid"] = uid
    metadata["generation"] = 1
    metadata["annotations"] = {**(metadata.get("annotations") or {}), SOURCE: "file", HASH: uid}
    spec = loaded["spec"]
    spec["nodeName"] = node_name
    spec["tolerations"] = [*(spec.get("tolerations") or ()), {"effect": "NoExecute", "operator": "Exists"}]
    default_pod(loaded)
    loaded.setdefault("status", {"phase": "Pending"})
    loaded["apiVersion"] = "v1"
    return loaded


def mirror_of(pod: Object, node: Object) -> Object:
    """The object that shows a static pod in the API."""
    metadata = pod["metadata"]
    owner = {
        "apiVersion": "v1",
        "kind": "Node",
        "name": node["metadata"]["name"],
        "uid": node["metadata"]["uid"],
        "controller": True,
    }
    kept = {key: metadata[key] for key in ("name", "namespace", "labels") if key in metadata}
    annotations = {**metadata["annotations"], MIRROR: metadata["annotations"][HASH]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**kept, "annotations": annotations, "ownerReferences": [owner]},
        "spec": pod["spec"],
    }


def read_folder(folder: Path, node_name: str) -> tuple[dict[str, Object], list[str]]:
    """The static pods by uid, and what is wrong with the others."""
    pods: dict[str, Object] = {}
    problems: list[str] = []
    if not folder.is_dir():
        return pods, problems
    for file in sorted(folder.iterdir()):
        if file.suffix not in SUFFIXES or file.name.startswith("."):
            continue
        try:
            pod = static_pod(file.read_text(), str(file), node_name)
        except (BadManifest, OSError, UnicodeDecodeError) as error:
            problems.append(str(error))
        else:
            pods[pod["metadata"]["uid"]] = pod
    return pods, problems
