"""The NodePorts scheduler plugin."""
