"""The taint-eviction controller."""
