"""One running program: a composition, its plugins, its store and bus, its components."""
