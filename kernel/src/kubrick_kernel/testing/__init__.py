"""The kernel's test tools, as public API: `store`, the conformance suite of storage engines."""
