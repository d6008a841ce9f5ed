"""The ImageLocality scheduler plugin."""
