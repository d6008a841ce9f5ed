"""The scheduling framework: node table, queue, cycle."""
