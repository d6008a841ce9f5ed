"""The NodeAffinity scheduler plugin."""
