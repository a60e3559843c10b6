"""Run it: ``python -m benchmarks.validation``."""

import sys

from benchmarks.validation.page import main

sys.exit(main())
