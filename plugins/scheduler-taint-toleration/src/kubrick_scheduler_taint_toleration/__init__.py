"""The TaintToleration scheduler plugin."""
