"""The NodeName scheduler plugin."""
