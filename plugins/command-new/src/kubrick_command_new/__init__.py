"""``kubrick new KIND NAME``: a new plugin package that builds, passes its own tests and works."""
