"""What /metrics shows of the scheduler."""

from prometheus_client import CollectorRegistry, generate_latest

from kubrick_scheduler.metrics import Metrics


def test_the_stable_metrics_are_there_with_their_labels_and_buckets():
    metrics = Metrics()
    metrics.pending = lambda: {"active": 2, "gated": 1}
    metrics.attempted("default-scheduler", "scheduled", 0.003)
    metrics.attempted("default-scheduler", "unschedulable", 100.0)
    metrics.scheduled_after(3)
    metrics.arrived("active", "PodAdd")
    registry = CollectorRegistry()
    registry.register(metrics)
    lines = generate_latest(registry).decode().splitlines()
    for line in (
        'scheduler_pending_pods{queue="active"} 2.0',
        'scheduler_schedule_attempts_total{profile="default-scheduler",result="scheduled"} 1.0',
        'scheduler_queue_incoming_pods_total{event="PodAdd",queue="active"} 1.0',
        'scheduler_pod_scheduling_attempts_bucket{le="2.0"} 0.0',
        'scheduler_pod_scheduling_attempts_bucket{le="4.0"} 1.0',
        'scheduler_pod_scheduling_attempts_bucket{le="16.0"} 1.0',
    ):
        assert line in lines
    duration = "scheduler_scheduling_attempt_duration_seconds_bucket{"
    assert f'{duration}le="0.004",profile="default-scheduler",result="scheduled"}} 1.0' in lines
    assert f'{duration}le="0.002",profile="default-scheduler",result="scheduled"}} 0.0' in lines
    assert f'{duration}le="16.384",profile="default-scheduler",result="unschedulable"}} 0.0' in lines
    assert f'{duration}le="+Inf",profile="default-scheduler",result="unschedulable"}} 1.0' in lines
