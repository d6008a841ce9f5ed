"""Subresources that connect a client with something that runs: a pod's logs and streams through its node's
agent, and the proxies to pods, services and nodes."""
