import pytest
from sweep_stories import Inline, content

from memspan.ledger import Ledger
from memspan.sweep.run import sweep


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """What the ledger holds of runs that nothing has disturbed."""
    known = {}

    def trained(wanted):
        key = tuple(run.id for run in wanted)
        if key not in known:
            path = tmp_path_factory.mktemp("undisturbed") / "ledger"
            with Ledger.open(path) as ledger:
                sweep(wanted, ledger, Inline())
            known[key] = content(path)
        return known[key]

    return trained
