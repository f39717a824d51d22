"""Wires the parts: all of them in one process, or each program in a process of its own under a supervisor."""
