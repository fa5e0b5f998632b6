"""Whether runs that differ in nothing but the seed find the same graphs and masks."""

from __future__ import annotations

import math
from typing import Any, Callable, Sequence

import numpy as np

from cvq import runs
from cvq.errors import UserError
from cvq.evaluation import graphs
from cvq.report.imagine import Imagination
from cvq.report.sections import Material


def agreement(m: Material, own: dict, compared: dict, workdirs: Sequence[str],
              tell: Callable[[str], None]) -> list[dict]:
  """Graphs and masks of other seeds over the same images, beside those of this run.

  Args:
    own: pictures of `cvq.report.sections.mechanisms`: graph [A, S, S], mask_by_action [A, V].
    compared: of `cvq.report.runs.compare`, this run first, then those of `workdirs`.
    workdirs: of the others. tell: is called with a line where one has no readable checkpoint.

  Returns:
    For each run of the same group: its 'name' and 'seed', and 'graph' and 'mask' as
    `cvq.evaluation.graphs.agreement` has them, by position of the grid.
  """
  first, *others = compared['runs']
  grid = m.run.model.grid
  mine = _by_position(own['graph'], own['mask_by_action'], grid)
  result = []
  for run, workdir in zip(others, workdirs):
    if run['group'] != first['group']:
      continue
    try:
      graph, mask = _means(workdir, m)
    except UserError as error:
      tell(f'graph of {run["name"]} is left out: {error}')
      continue
    theirs = _by_position(graph, mask, grid)
    result.append({'name': run['name'], 'seed': run['seed']} | {
        name: graphs.agreement(a, b) for name, a, b in zip(('graph', 'mask'), mine, theirs)})
  return result


def _means(workdir: str, m: Material) -> tuple[np.ndarray, np.ndarray]:
  """Mean graph [A, S, S] and mask [A, V] of another run, over the images of this report."""
  trained = runs.read_run(workdir)
  there = Imagination(runs.build(trained.config, trained.description), runs.to_state(trained),
                      trained.config.evaluation.batch_size)
  index = m.source[:m.sizes.graphs]
  out, rows = there.graphs(m.images, index), graphs.possible(m.valid(index))
  return graphs.mean_of_each(out['graph'], rows), graphs.mean_of_each(out['mask'], rows)


def _by_position(graph: np.ndarray, mask: np.ndarray, grid: Any) -> tuple[np.ndarray, np.ndarray]:
  positions = math.prod(grid)
  graph = graphs.by_position(graph, positions, (-2, -1))
  # A single position has no edge to another: its own is all there is.
  edges = graphs.between_nodes(graph) if positions > 1 else graph.reshape(len(graph), -1)
  return edges, graphs.by_position(mask, positions, (-1,))
