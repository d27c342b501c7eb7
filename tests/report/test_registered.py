"""Nothing the report shows or says is forgotten: every id is there, and parts name each other."""

from memspan.report.claims import CLAIMS
from memspan.report.figures import FIGURES
from memspan.report.tables import TABLES
from memspan.study import EXPERIMENTS, PRESETS

CLAIM_IDS = {f"c{number:02}" for number in range(1, 39)}
FIGURE_IDS = {
    *("fig1a", "fig1b", "fig1c", "fig2a", "fig2b", "fig2c", "fig3a", "fig3b"),
    *("fig4a", "fig4b", "fig4c", "fig4d"),
}
TABLE_IDS = {"tab1", "tab2", "tab3", "tab4"}


def test_every_id_is_delivered():
    assert set(CLAIMS) == CLAIM_IDS
    assert set(FIGURES) >= FIGURE_IDS
    assert set(TABLES) == TABLE_IDS


def test_claims_and_experiments_name_each_other():
    for id, claim in CLAIMS.items():
        for name in claim.experiments:
            assert id in EXPERIMENTS[name].serves, f"{name} does not say that it serves {id}"
        assert claim.experiments, f"{id} names no experiment"
        assert claim.sentence
        assert claim.source
        assert claim.check


def test_what_an_experiment_serves_exists():
    known = set(CLAIMS) | set(FIGURES) | TABLE_IDS
    for experiment in EXPERIMENTS.values():
        assert set(experiment.serves) <= known, experiment.id


def test_figures_bear_on_claims_that_exist():
    assert {id for panel in FIGURES.values() for id in panel.claims} <= set(CLAIMS)
    assert {id for table in TABLES.values() for id in table.claims} <= set(CLAIMS)


def test_every_preset_names_known_experiments():
    for preset in PRESETS.values():
        assert {e.id for e in preset.experiments} <= set(EXPERIMENTS)
