"""The Kubrick kernel: storage, watch bus, lifecycle, plugins."""
