"""HTTP as the sandbox reads and writes it, and the scripts of its answers."""
