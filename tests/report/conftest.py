import pytest
from made_up import made_up_study


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
