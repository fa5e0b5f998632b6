"""What a causal graph looks like as a graph: its size, and how far it is from having an order."""

from __future__ import annotations

import numpy as np
from scipy import linalg
from scipy.sparse import csgraph

EDGE = .5            # a weight above it counts as an edge


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
