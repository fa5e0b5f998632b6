"""The tables of docs/results.md: which runs, which figures. Run by `python -m cvq.sweep`."""

from __future__ import annotations

from configs.tables import comparisons, parts
from configs.tables.goals import goals                                        # noqa: F401
from cvq.sweep.cells import Table


def tables() -> list[Table]:
  """All tables, in the order of the page."""
  return [
      comparisons.retrieval(), comparisons.interventions(), comparisons.disentanglement(),
      comparisons.true_factors(), comparisons.imbalance(), comparisons.precision(),
      comparisons.compositional(), comparisons.multi_step(), parts.ablations(), parts.graph(),
      comparisons.sample_efficiency(), parts.mistakes()]
