"""Group, version, kind and resource names, as kubectl writes them."""

from typing import Any

from attrs import frozen

NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""What the generated parts of names are made of: they spell no words."""


@frozen
class GVK:
    """A kind. `group` is "" for the core group."""

    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        """What stands in an object's ``apiVersion``: "v1", "apps/v1"."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @classmethod
    def of(cls, obj: dict[str, Any]) -> "GVK":
        """The kind an object says it is; missing parts are ""."""
        group, _, version = str(obj.get("apiVersion", "")).rpartition("/")
        return cls(group, version, str(obj.get("kind", "")))

    def __str__(self) -> str:
        return f"{self.api_version}, Kind={self.kind}"


@frozen
class GVR:
    """A resource (the plural, lower-case name in URLs). `group` is "" for the core group."""

    group: str
    version: str
    resource: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """The group resource as error messages name it: "pods", "deployments.apps"."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    @property
    def root(self) -> str:
        """The URL path of the group-version: "/api/v1", "/apis/apps/v1"."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    @classmethod
    def parse(cls, text: str) -> "GVR":
        """kubectl's full spelling: "pods.v1", "deployments.v1.apps"."""
        resource, _, rest = text.partition(".")
        version, _, group = rest.partition(".")
        if not (resource and version):
            raise ValueError(f"{text!r} is not a resource name such as 'pods.v1' or 'deployments.v1.apps'")
        return cls(group, version, resource)

    def __str__(self) -> str:
        return f"{self.api_version}, Resource={self.resource}"
