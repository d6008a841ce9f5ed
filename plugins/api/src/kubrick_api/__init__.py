"""The object machinery: schemas, defaults, validation, merges, selectors, tables.

Import what you need from its module; importing the package itself loads next to nothing.

- names: GVK, GVR · errors: StatusError, FieldError and one function per way to refuse
- resource: Resource, Strategy, Subresource, APIGroup, Column (what an API group brick hands over)
- storage: Call, UserInfo, Reader, Storage, WriteContext, Also (what strategies see of the server)
- groups: load_groups, Parts, Conversion (a brick's groups from its resources.json and schemas.json)
- catalog: Catalog (all groups, resources and types; `kernel.find(Catalog)`)
- schema: Schemas, Type.accept(obj) → warnings: prunes, checks, normalises and defaults in one pass;
  strict_error, undecodable; Type.missing, Type.duplicates · duplication: duplicate_fields
- codec: encode, decode, restamp, revision_of, stamp_offset, copy
- selectors: LabelSelector.parse, FieldSelector.parse, from_label_selector
- quantity: Quantity, canonical, milli, value
- validation: names, labels, annotations, ObjectMeta on create and update, label selectors
- merge: strategic_merge, json_merge, json_patch, apply_patch
- table: Table, partial metadata, default_row, human_duration
- openapi: OpenAPI (v3 per group-version; v2 as JSON and as protobuf)
- typed: Typed, structure, unstructure · types: ObjectMeta, LabelSelector, Status and kin, as classes
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubrick_kernel.hookspecs import hookimpl

if TYPE_CHECKING:
    import pluggy

    from kubrick_kernel import Component, Kernel


@hookimpl
def kubrick_add_hookspecs(manager: "pluggy.PluginManager") -> None:
    """`kubrick_register_api_groups` becomes a hook."""
    from kubrick_api import hookspecs

    manager.add_hookspecs(hookspecs)


@hookimpl(tryfirst=True)
def kubrick_register_components(kernel: "Kernel") -> "Sequence[Component]":
    """No component of its own: the catalog of all groups is collected and offered."""
    from kubrick_api.catalog import Catalog

    kernel.offer(Catalog, Catalog.collect(kernel))
    return ()
