import pytest
from made_up import made_up_study

from memspan.ledger import Measurement
from memspan.probes import PROBES, Probe
from memspan.report import build
from memspan.report.figures import FIGURES


@pytest.fixture(scope="session")
def quick_study():
    return made_up_study("quick")


@pytest.fixture(scope="session")
def report_study():
    return made_up_study("report")


@pytest.fixture(scope="session")
def full_study():
    """Five seeds of it: the fewest that decide."""
    return made_up_study("full", seeds=5)


@pytest.fixture(scope="session")
def answers():
    """What probes of the equations answer, from fewer cases than they are asked about."""
    quick = [name for name in PROBES if name != "slope"]  # which trains
    return [Measurement(Probe(name).flat(), PROBES.resolve(name)(60, 0), {}) for name in quick]


@pytest.fixture
def few_figures(monkeypatch):
    """Draw three figures in the place of all, where a test is not about figures."""
    monkeypatch.setattr(build, "FIGURES", {id: FIGURES[id] for id in ("fig1b", "fig4b", "fig-adam")})
