"""The PrioritySort scheduler plugin."""
