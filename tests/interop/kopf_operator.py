"""A kopf operator on a built-in kind, as `kopf run` loads it: it writes what happened to a ConfigMap into another
one's annotations, through handlers for creation, update, a field, deletion (with kopf's finalizer) and a timer."""

import kopf

DELETED: list[str] = []
ONLY = {"labels": {"watched": "yes"}}


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: object) -> None:
    settings.posting.enabled = True
    settings.persistence.finalizer = "kopf.test/finalizer"


@kopf.on.create("v1", "configmaps", **ONLY)
async def created(patch: kopf.Patch, body: kopf.Body, **_: object) -> None:
    patch.metadata.annotations["kopf.test/created"] = body["data"]["greeting"]
    kopf.info(body, reason="Greeted", message="said hello")


@kopf.on.update("v1", "configmaps", field="data.greeting", **ONLY)
async def updated(patch: kopf.Patch, old: str, new: str, **_: object) -> None:
    patch.metadata.annotations["kopf.test/updated"] = f"{old} -> {new}"


@kopf.on.delete("v1", "configmaps", **ONLY)
async def deleted(name: str, **_: object) -> None:
    DELETED.append(name)


@kopf.timer("v1", "configmaps", interval=0.2, **ONLY)
def ticked(patch: kopf.Patch, annotations: kopf.Annotations, **_: object) -> None:
    if "kopf.test/ticked" not in annotations:
        patch.metadata.annotations["kopf.test/ticked"] = "yes"
