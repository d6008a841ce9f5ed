"""The NodeResourcesFit scheduler plugin."""
