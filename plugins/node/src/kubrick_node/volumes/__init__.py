"""A pod's volumes: the contract of volume plugins and the kinds every Kubernetes has."""

from kubrick_node.volumes.contract import Mounted, Reference, Sources, VolumeFailure, VolumeJob, VolumePlugin

__all__ = ["Mounted", "Reference", "Sources", "VolumeFailure", "VolumeJob", "VolumePlugin"]
