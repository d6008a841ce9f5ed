"""The NodeResourcesBalancedAllocation scheduler plugin."""
