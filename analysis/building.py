"""From studies to a report: all statistics, tables and figures, and their files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analysis.figures.arms import arms_drawing
from analysis.figures.decision_curve import decision_curve
from analysis.figures.drawing import Drawing, save
from analysis.figures.final_runs import calibration, confusion, distance, forest
from analysis.figures.flow import flow_diagram
from analysis.figures.importance import importance
from analysis.figures.search import budget, learning
from analysis.figures.subgroups import subgroup_forest
from analysis.figures.trajectories import trajectories
from analysis.page.page import Report, write_page
from analysis.page.staleness import write_sources
from analysis.results.study import StudyResults
from analysis.statistics.bootstrap import DRAWS
from analysis.statistics.study_metric import primary_metric
from analysis.statistics.study_statistics import StudyStatistics, study_statistics
from analysis.tables.across_studies import across_studies, tuned_and_fixed
from analysis.tables.calibration import calibration_table
from analysis.tables.compute_matched import compute_matched
from analysis.tables.equivalence import equivalence_table
from analysis.tables.external import external_table
from analysis.tables.factorial import factorial_table
from analysis.tables.far_errors import far_errors_table
from analysis.tables.incremental import incremental_table
from analysis.tables.loss_strength import loss_strength
from analysis.tables.main_table import all_metrics, main_table, test_details
from analysis.tables.net_benefit import net_benefit_table
from analysis.tables.ordinal import ordinal_table
from analysis.tables.other_endpoints import change_table, decline_table
from analysis.tables.protocol import frozen_table
from analysis.tables.render import write_table
from analysis.tables.repeatability import repeatability_table
from analysis.tables.search import overtuning, search_summary
from analysis.tables.search_space import search_space
from analysis.tables.subgroups import heterogeneity_table, subgroup_table
from analysis.tables.table import Table


def build(studies: Sequence[StudyResults], draws: int | None = None, rank: bool = False) -> Report:
    """Compute all statistics and draw all figures; nothing is written but the look that the verdicts are.

    Args:
        studies: as ``load`` gives them.
        draws: of the patient bootstrap; None for 10,000.
        rank: also rank hyperparameters by importance, which takes seconds per arm.

    Raises:
        ReportError: a study.json names a primary metric that does not exist.
    """
    draws = DRAWS if draws is None else draws
    for study in studies:
        primary_metric(study)  # what is refused is so before a look at any study is recorded
    statistics = [study_statistics(study, draws) for study in studies]
    drawings = all_figures(statistics)
    ranked = [importance(item.study) for item in statistics] if rank else []
    drawings += [drawing for drawing in ranked if drawing is not None]
    return Report(statistics=statistics, tables=all_tables(statistics), drawings=drawings)


def all_tables(statistics: Sequence[StudyStatistics]) -> list[Table]:
    """Every table that the studies have data for, the main table first."""
    found = [
        main_table(statistics),
        incremental_table(statistics),
        ordinal_table(statistics),
        decline_table(statistics),
        change_table(statistics),
        frozen_table(statistics),
        external_table(statistics),
        heterogeneity_table(statistics),
        subgroup_table(statistics),
        across_studies(statistics),
        all_metrics(statistics),
        test_details(statistics),
        far_errors_table(statistics),
        equivalence_table(statistics),
        repeatability_table(statistics),
        calibration_table(statistics),
        net_benefit_table(statistics),
        tuned_and_fixed(statistics),
        factorial_table(statistics),
        compute_matched(statistics),
        loss_strength(statistics),
        search_space(statistics),
        search_summary(statistics),
        overtuning(statistics),
    ]
    return [table for table in found if table is not None]


def all_figures(statistics: Sequence[StudyStatistics]) -> list[Drawing]:
    """Every figure that the studies have data for, all arms first; importance is not among them."""
    found = [arms_drawing(statistics), forest(statistics)]
    for item in statistics:
        found.append(flow_diagram(item))
        if len(item.study.compared):
            found += [subgroup_forest(item), confusion(item), distance(item), calibration(item)]
            found += [decision_curve(item), trajectories(item)]
        found += [budget(item), learning(item)]
    return [drawing for drawing in found if drawing is not None]


def write(report: Report, out: Path) -> None:
    """Write OUT/index.html, OUT/tables, OUT/figures, and the list of files they were made from.

    Raises:
        OSError: a file cannot be written.
    """
    for table in [*report.tables, *(checklist.table for checklist in report.checklists)]:
        write_table(table, out / "tables")
    for drawing in report.drawings:
        save(drawing, out / "figures")
    write_page(report, out)
    write_sources([item.study for item in report.statistics], out)
