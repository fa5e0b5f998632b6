"""What causal graphs look like: their size, how far they are from having an order, whether the
same ones are found again."""

from __future__ import annotations

import numpy as np
from scipy import linalg, stats
from scipy.sparse import csgraph

EDGE = .5            # a weight above it counts as an edge


def possible(valid: np.ndarray) -> np.ndarray:
  """Images to judge each action's graph and mask on: where it is valid, or all where on none.

  A mechanism has never learned what an action would do at the end of its factor.

  Args:
    valid: [n, A] bool, whether the action leads from the image to another one.

  Returns:
    [n, A] bool, at least one for each action.
  """
  return valid | ~valid.any(0)


def mean_of_each(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
  """Mean of each action over its own rows: [n, A, ...], [n, A] bool -> [A, ...] float64."""
  return np.stack([values[rows[:, a], a].mean(0, dtype=np.float64) for a in range(rows.shape[1])])


def measures(graph: np.ndarray) -> dict[str, float]:
  """Figures of weighted graphs, averaged over them; a node's edge to itself is left out.

  Args:
    graph: [n, S, S] edge weights in [0, 1], row = child, column = parent.

  Returns:
    `weight`: sum of the weights;
    `edges`: weights above 1/2;
    `density`: `edges` as a share of the S (S - 1) possible ones, 0 for a single node;
    `mutual`: share of the edges whose opposite is an edge too, 0 where there is none;
    `on_cycles`: share of the nodes that lie on a directed cycle: 0 exactly if there is an order
    of the nodes in which all edges point forward;
    `acyclicity`: h = tr(exp(G)) - S of the 0/1 edges (Zheng et al. 2018, 'DAGs with NO TEARS',
    theorem 1): 0 exactly for such graphs, and fast growing with the number of cycles.
  """
  graph = np.asarray(graph, np.float64)
  size = graph.shape[-1]
  weights = graph * (1 - np.eye(size))
  edges = weights > EDGE
  count = edges.sum((-2, -1))
  mutual = (edges & edges.swapaxes(-2, -1)).sum((-2, -1))
  return {
      'weight': float(weights.sum((-2, -1)).mean()),
      'edges': float(count.mean()),
      'density': float(count.mean() / max(size * (size - 1), 1)),
      'mutual': float((mutual / np.maximum(count, 1)).mean()),
      'on_cycles': float(np.mean([_on_cycles(each) for each in edges])),
      'acyclicity': float(np.mean([
          np.trace(linalg.expm(each.astype(np.float64))) - size for each in edges]))}


def _on_cycles(edges: np.ndarray) -> float:
  """Share of nodes in a strongly connected component of more than one: [S, S] bool."""
  _, component = csgraph.connected_components(edges, directed=True, connection='strong')
  return float((np.bincount(component)[component] > 1).mean())


def agreement(first: np.ndarray, second: np.ndarray) -> dict[str, float | None]:
  """How alike two runs are in the weights that they give each action.

  Args:
    first, second: [A, ...] mean weights, of edges or of masks, whose places mean the same in both.

  Returns:
    `difference`: mean absolute difference of the same action's weights;
    `rank`: Spearman's rank correlation of the same action's weights, averaged over actions;
    `rank_other`: the same of different actions, which is what places alone have in common.
    Correlations are None where no action's weights differ among themselves.
  """
  a, b = (np.asarray(each, np.float64).reshape(len(each), -1) for each in (first, second))
  result: dict[str, float | None] = {'difference': float(np.abs(a - b).mean())}
  standard = []
  for each in (a, b):
    ranks = stats.rankdata(each, axis=1)
    ranks -= ranks.mean(1, keepdims=True)
    length = np.linalg.norm(ranks, axis=1, keepdims=True)
    standard.append(np.divide(ranks, length, out=np.full_like(ranks, np.nan), where=length > 0))
  table = standard[0] @ standard[1].T                                        # [A, A]
  same = np.eye(len(a), dtype=bool)
  for name, rows in (('rank', same), ('rank_other', ~same)):
    told = table[rows][np.isfinite(table[rows])]
    result[name] = float(told.mean()) if told.size else None
  return result


def between_nodes(graph: np.ndarray) -> np.ndarray:
  """Weights of the edges between different nodes: [..., S, S] -> [..., S (S - 1)]."""
  return graph[..., ~np.eye(graph.shape[-1], dtype=bool)]


def by_position(weights: np.ndarray, positions: int, axes: tuple[int, ...]) -> np.ndarray:
  """Means over codebooks, whose numbers mean nothing from one run to the next.

  Args:
    weights: array. positions: P, of the grid.
    axes: those that count nodes, (codebook, position) or the position alone; from the last on.

  Returns:
    The array with P entries along these axes.
  """
  for axis in axes:
    moved = np.moveaxis(weights, axis, -1)
    moved = moved.reshape(*moved.shape[:-1], -1, positions).mean(-2)
    weights = np.moveaxis(moved, -1, axis)
  return weights
