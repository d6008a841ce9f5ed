"""The resources of batch, by name. Written by tools/generate_api_resources.py."""

from kubrick_api.names import GVR

CRON_JOBS = GVR("batch", "v1", "cronjobs")
JOBS = GVR("batch", "v1", "jobs")
