"""A container runtime without processes: pods walk through their states."""
