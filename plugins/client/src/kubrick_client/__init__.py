"""Client, informers, work queue, leader election and event recorder.

A component sees the cluster only through a `Client`. `connect` gives one: in process when an API
server of this program offers a `Connector`, else over HTTPS from a kubeconfig file.
"""

from kubrick_client.client import Client
from kubrick_client.connection import ClientSettings, RootCA, connect
from kubrick_client.election import LeaderElector
from kubrick_client.informer import Informer, Lister
from kubrick_client.recorder import EventRecorder
from kubrick_client.transport import Connector, Transport, Unreachable, WatchEvent, WatchStream
from kubrick_client.workqueue import ShutDown, WorkQueue
from kubrick_kernel import hookimpl

__all__ = [
    "Client",
    "ClientSettings",
    "Connector",
    "EventRecorder",
    "Informer",
    "LeaderElector",
    "Lister",
    "RootCA",
    "ShutDown",
    "Transport",
    "Unreachable",
    "WatchEvent",
    "WatchStream",
    "WorkQueue",
    "connect",
]


@hookimpl
def kubrick_register_settings() -> type:
    return ClientSettings
