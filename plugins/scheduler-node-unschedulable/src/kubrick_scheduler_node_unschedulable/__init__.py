"""The NodeUnschedulable scheduler plugin."""
