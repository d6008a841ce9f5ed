"""The pods of the tests of trouble, and where they live: test_full_pods_in_trouble.py says what becomes of them."""

from pathlib import Path
from typing import Any

from chronicle import Chronicle
from machines import IMAGE, Machine, Object, container, pod

PODS, EVENTS = "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/events"
NODES, SLICES = "/api/v1/nodes", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
LATER, UNUSED = "127.0.0.1:1/later:1", "kubrick.test/unused:1"
DISK = 320
SETTINGS = """
eviction_monitoring_period = 1.0
volume_stats_agg_period = 1.0
eviction_pressure_transition_period = 3.0
image_gc_period = 2.0
image_minimum_gc_age = 1.0
image_gc_high_threshold_percent = 70
image_gc_low_threshold_percent = 50
eviction_hard = {"memory.available" = "10Mi", "nodefs.available" = "120Mi", "imagefs.available" = "100Mi"}
"""
HEALTH = """
import socket, sys
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived, StreamEnded

host, _, port = sys.argv[1].rpartition(":")
with socket.create_server((host, int(port))) as server:
    while True:
        with server.accept()[0] as stream:
            protocol = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
            protocol.initiate_connection()
            path = ""
            while data := stream.recv(65536):
                for event in protocol.receive_data(data):
                    if isinstance(event, RequestReceived):
                        path = dict(event.headers)[":path"]
                    elif isinstance(event, StreamEnded):
                        serving = path == "/grpc.health.v1.Health/Check"
                        headers = [(":status", "200"), ("content-type", "application/grpc")]
                        protocol.send_headers(event.stream_id, headers)
                        protocol.send_data(event.stream_id, bytes((0, 0, 0, 0, 2, 8, 1 if serving else 2)))
                        protocol.send_headers(event.stream_id, [("grpc-status", "0")], end_stream=True)
                stream.sendall(protocol.data_to_send())
"""


class World(Chronicle):
    """The cluster, the folder that its pods share with the tests, and what was seen."""

    def __init__(self, machine: Machine, shared: Path) -> None:
        super().__init__(machine, PODS, EVENTS, NODES, SLICES)
        self.machine = machine
        self.shared = shared

    @property
    def node(self) -> Object:
        return self.objects[NODES][-1]

    def node_condition(self, kind: str) -> str:
        return next((one["status"] for one in self.node["status"]["conditions"] if one["type"] == kind), "")

    def node_taints(self) -> list[str]:
        return [one["key"] for one in self.node["spec"].get("taints") or ()]


def of(name: str, *containers: Object, **spec: Any) -> Object:
    return pod(name, containers=list(containers), **spec)


def env(kind: str) -> Object:
    return {"name": "WORD", "valueFrom": {f"{kind}KeyRef": {"name": "later", "key": "word"}}}


def scratch(size: str = "", **more: Any) -> Object:
    return {"name": "v", "emptyDir": {**({"sizeLimit": size} if size else {}), **more}}


MOUNT = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
STAY = "exec sleep inf"


def exec_probe(command: str, **more: Any) -> Object:
    return {"exec": {"command": ["sh", "-c", command]}, "periodSeconds": 1, "timeoutSeconds": 10, **more}


def pods(shared: Path) -> list[Object]:
    """All but those that fill the disk."""
    host = {"name": "v", "hostPath": {"path": str(shared)}}
    trap = "trap 'echo {0} down >> /v/{1}; exit 0' TERM; echo {0} up >> /v/{1}; while true; do sleep 0.1; done"
    return [
        of("pull", {"name": "main", "image": LATER, "command": ["sleep", "inf"]}),
        of("never", {"name": "main", "image": "kubrick.test/none:1", "imagePullPolicy": "Never"}),
        of("badname", {"name": "main", "image": "Bad/IMAGE:1"}),
        of("nocommand", {"name": "main", "image": IMAGE, "command": ["/nope"]}),
        of("crash", container("echo said; echo dying > /dev/termination-log; exit 3")),
        of(
            "fallback",
            container("echo from the log; exit 5", terminationMessagePolicy="FallbackToLogsOnError"),
            restartPolicy="Never",
        ),
        of("env-map", container(STAY, env=[env("configMap")])),
        of("env-secret", container(STAY, env=[env("secret")])),
        of("volume-map", container(STAY, **MOUNT), volumes=[{"name": "v", "configMap": {"name": "later"}}]),
        of("volume-secret", container(STAY, **MOUNT), volumes=[{"name": "v", "secret": {"secretName": "later"}}]),
        of(
            "memory",
            {**container(""), "command": ["tail", "/dev/zero"], "resources": {"limits": {"memory": "16Mi"}}},
            restartPolicy="Never",
        ),
        of(
            "host-path",
            container(STAY, **MOUNT),
            volumes=[{"name": "v", "hostPath": {"path": str(shared / "absent"), "type": "Directory"}}],
        ),
        of(
            "sub-path",
            container(STAY, volumeMounts=[{"name": "v", "mountPath": "/v", "subPath": "out/etc"}]),
            volumes=[host],
        ),
        of("alive", container(f"touch /tmp-ok; {STAY}", livenessProbe=exec_probe("cat /tmp-ok", failureThreshold=2))),
        of(
            "startup",
            container(
                f"sleep 3; touch /started; {STAY}",
                startupProbe=exec_probe("cat /started", failureThreshold=30),
                livenessProbe=exec_probe("cat /started", failureThreshold=1),
            ),
        ),
        {
            **of(
                "served",
                container(
                    "mkdir /www; echo hello > /www/index.html; exec httpd -f -p 8080 -h /www",
                    readinessProbe={
                        "httpGet": {"path": "/", "port": 8080},
                        "periodSeconds": 1,
                        "timeoutSeconds": 10,
                        "failureThreshold": 1,
                    },
                    livenessProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1, "timeoutSeconds": 10},
                ),
            )
        },
        of("closed", container(STAY, readinessProbe={"tcpSocket": {"port": 8081}, "periodSeconds": 1})),
        of(
            "health",
            container(
                STAY,
                livenessProbe={"grpc": {"port": 9090}, "periodSeconds": 1, "failureThreshold": 60},
                readinessProbe={"grpc": {"port": 9090}, "periodSeconds": 1},
            ),
            hostNetwork=True,
        ),
        of(
            "post-start",
            container(STAY, lifecycle={"postStart": {"exec": {"command": ["sh", "-c", "echo no >&2; exit 7"]}}}),
        ),
        of(
            "pre-stop",
            container(
                STAY, **MOUNT, lifecycle={"preStop": {"exec": {"command": ["sh", "-c", "echo stopping > /v/pre-stop"]}}}
            ),
            volumes=[host],
        ),
        of("deadline", container(STAY), activeDeadlineSeconds=15),
        of(
            "init-fails",
            container(STAY),
            initContainers=[{**container("exit 4"), "name": "first"}],
            restartPolicy="Never",
        ),
        of("init-again", container(STAY), initContainers=[{**container("exit 4"), "name": "first"}]),
        of(
            "order",
            {**container(trap.format("main", "order"), **MOUNT)},
            initContainers=[
                {**container(trap.format("side", "order"), **MOUNT), "name": "side", "restartPolicy": "Always"},
                {**container("echo setup >> /v/order", **MOUNT), "name": "setup"},
            ],
            volumes=[host],
            terminationGracePeriodSeconds=10,
        ),
        of(
            "scratch", container(f"dd if=/dev/zero of=/v/file bs=1M count=3; {STAY}", **MOUNT), volumes=[scratch("1Mi")]
        ),
        of(
            "limited",
            container(
                f"dd if=/dev/zero of=/v/file bs=1M count=3; {STAY}",
                **MOUNT,
                resources={"limits": {"ephemeral-storage": "2Mi"}},
            ),
            volumes=[scratch()],
        ),
        of(
            "wordy",
            container(
                f"yes | head -n 40000; {STAY}",
                resources={"limits": {"ephemeral-storage": "1Mi"}},
            ),
            {**container(STAY, resources={"limits": {"ephemeral-storage": "64Mi"}}), "name": "other"},
        ),
        of(
            "ram",
            container("dd if=/dev/zero of=/v/file bs=1k count=4096", **MOUNT),
            restartPolicy="Never",
            volumes=[scratch("1Mi", medium="Memory")],
        ),
    ]
