"""Learning problems: what is minimised, and its gradients."""
