"""Random examples over transforms × cells × kernels × options × layouts, each in a process that may die.

``PYTHONPATH=tests python -m trust --example 17`` runs one again, ``--first 0 --count 500`` many.
"""

import sys
from pathlib import Path

_TESTS = Path(__file__).parents[1]
sys.path += [str(folder) for folder in (_TESTS, _TESTS / "layers") if str(folder) not in sys.path]
