"""What the agent serves: a pod's logs and streams, metrics, its own health. Over HTTPS for an API server
elsewhere (`server`), directly for one in this process (`service`). Import the modules where they are used:
WebSockets and SPDY are not needed before the first request.
"""
