"""What this brick serves."""

from typing import TYPE_CHECKING

from kubrick_api.groups import Parts, load_groups
from kubrick_api.resource import APIGroup
from kubrick_api_storage.classes import StorageClassStrategy, VolumeAttributesClassStrategy
from kubrick_api_storage.drivers import (
    CSIDriverStrategy,
    CSINodeStrategy,
    CSIStorageCapacityStrategy,
    VolumeAttachmentStrategy,
)

if TYPE_CHECKING:
    from kubrick_kernel import Kernel


def groups(kernel: "Kernel") -> tuple[APIGroup, ...]:
    return load_groups(
        "kubrick_api_storage",
        Parts(
            strategies={
                "csidrivers": CSIDriverStrategy(),
                "csinodes": CSINodeStrategy(),
                "csistoragecapacities": CSIStorageCapacityStrategy(),
                "storageclasses": StorageClassStrategy(),
                "volumeattachments": VolumeAttachmentStrategy(),
                "volumeattributesclasses": VolumeAttributesClassStrategy(),
            }
        ),
    )
