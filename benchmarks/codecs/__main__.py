"""Run it: ``python -m benchmarks.codecs``."""

import sys

from benchmarks.codecs.page import main

sys.exit(main())
