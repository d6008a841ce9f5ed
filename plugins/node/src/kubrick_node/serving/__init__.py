"""What the agent serves: a pod's logs and streams, metrics, its own health. Over HTTPS for an API server
elsewhere, directly for one in this process."""

from kubrick_node.serving.access import AgentAccess
from kubrick_node.serving.paths import AgentPaths
from kubrick_node.serving.server import AgentServer
from kubrick_node.serving.service import PodService

__all__ = ["AgentAccess", "AgentPaths", "AgentServer", "PodService"]
