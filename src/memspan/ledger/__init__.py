"""The ledger: one SQLite file that keeps what trainings say, and knows no network."""

from memspan.ledger.records import (
    Curve,
    DamagedCheckpointWarning,
    ImportReport,
    Measurement,
    Resume,
    RunPage,
    RunRecord,
    thin,
)
from memspan.ledger.store import Ledger

__all__ = [
    "Curve",
    "DamagedCheckpointWarning",
    "ImportReport",
    "Ledger",
    "Measurement",
    "Resume",
    "RunPage",
    "RunRecord",
    "thin",
]
