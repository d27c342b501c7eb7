import pytest

from memspan.ledger import Ledger


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs.ledger"


@pytest.fixture
def ledger(path):
    with Ledger.open(path) as opened:
        yield opened
