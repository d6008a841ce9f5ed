"""The DefaultBinder scheduler plugin."""
