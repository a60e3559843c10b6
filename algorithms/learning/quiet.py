"""Overflow without warnings."""

import numpy as np

quiet = np.errstate(over="ignore", invalid="ignore")
"""Decorator of what a diverging run calls: it ends in inf or nan, which the records show."""
