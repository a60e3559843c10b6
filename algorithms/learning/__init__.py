"""What problems are made of: losses, rows, solvers, shares of nodes."""
