"""``python -m memspan``."""

import sys

from memspan.cli import main

sys.exit(main())
