"""Lets pods tolerate unready and unreachable nodes for five minutes."""
