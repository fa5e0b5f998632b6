"""Measures of graphs whose order, or lack of it, is known."""

import numpy as np
import pytest
from scipy import stats

from cvq.evaluation import graphs


def _edges(size, *pairs):
  graph = np.zeros((1, size, size))
  for child, parent in pairs:
    graph[0, child, parent] = 1
  return graph


def test_an_action_is_judged_where_it_is_possible():
  valid = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0]], bool)
  values = np.arange(9.).reshape(3, 3, 1)
  found = graphs.mean_of_each(values, graphs.possible(valid))
  # The last action is possible nowhere, so all images speak for it.
  np.testing.assert_array_equal(found[:, 0], [(0 + 6) / 2, (4 + 7) / 2, (2 + 5 + 8) / 3])


def test_a_chain_has_an_order_and_a_self_loop_does_not_count():
  found = graphs.measures(_edges(4, (1, 0), (2, 1), (3, 2), (3, 3)))
  assert found == pytest.approx({'weight': 3, 'edges': 3, 'density': 3 / 12, 'mutual': 0,
                                 'on_cycles': 0, 'acyclicity': 0})


def test_a_cycle_of_two_and_one_of_three():
  two = graphs.measures(_edges(4, (1, 0), (0, 1), (3, 2)))
  assert two['mutual'] == pytest.approx(2 / 3) and two['on_cycles'] == .5
  # tr(exp(A)) of a cycle of m: sum over its m-th roots of unity r of exp(r).
  h = lambda m: sum(np.exp(np.exp(2j * np.pi * k / m)) for k in range(m)).real - m
  assert two['acyclicity'] == pytest.approx(h(2))
  three = graphs.measures(_edges(3, (1, 0), (2, 1), (0, 2)))
  assert three['mutual'] == 0 and three['on_cycles'] == 1
  assert three['acyclicity'] == pytest.approx(h(3))


def test_random_graphs_against_a_search_for_cycles():
  rng = np.random.default_rng(0)
  for density in (.1, .2, .4):
    graph = (rng.random((1, 7, 7)) < density).astype(float)
    edges = graph[0].astype(bool) & ~np.eye(7, dtype=bool)
    reach = edges.copy()
    for middle in range(7):
      reach |= reach[:, middle:middle + 1] & reach[middle]
    found = graphs.measures(graph)
    assert found['on_cycles'] == pytest.approx(reach.diagonal().mean())
    assert (found['acyclicity'] < 1e-9) == (not reach.diagonal().any())


def test_means_over_graphs_and_weak_weights():
  weak = np.full((1, 3, 3), .4)
  both = graphs.measures(np.concatenate([weak, _edges(3, (1, 0))]))
  assert both['edges'] == .5 and both['weight'] == pytest.approx((6 * .4 + 1) / 2)
  assert graphs.measures(np.ones((2, 1, 1)))['density'] == 0


def test_agreement_of_equal_and_of_mixed_up_actions():
  weights = np.random.default_rng(0).random((4, 6, 6))
  same = graphs.agreement(weights, weights)
  assert same['difference'] == 0 and same['rank'] == pytest.approx(1)
  assert abs(same['rank_other']) < .3
  mixed = graphs.agreement(weights, weights[[1, 0, 3, 2]])
  assert mixed['difference'] > .2 and mixed['rank_other'] > mixed['rank']


def test_agreement_against_scipy_with_ties():
  rng = np.random.default_rng(0)
  first, second = rng.integers(0, 4, (2, 3, 20)) / 4
  table = [[stats.spearmanr(a, b).statistic for b in second] for a in first]
  found = graphs.agreement(first, second)
  assert found['rank'] == pytest.approx(np.mean([table[i][i] for i in range(3)]))
  assert found['rank_other'] == pytest.approx(
      np.mean([table[i][j] for i in range(3) for j in range(3) if i != j]))
  assert found['difference'] == pytest.approx(np.abs(first - second).mean())


def test_agreement_of_constants_is_told_by_the_difference_alone():
  found = graphs.agreement(np.ones((2, 5)), np.zeros((2, 5)))
  assert found == {'difference': 1, 'rank': None, 'rank_other': None}
  # An action whose weights are all alike has no rank; the others still do.
  weights = np.array([[1., 1., 1.], [0., 1., 2.]])
  assert graphs.agreement(weights, weights)['rank'] == pytest.approx(1)


def test_codebooks_are_averaged_and_only_edges_between_nodes_stay():
  graph = np.arange(16.).reshape(1, 4, 4)              # two codebooks, two positions
  found = graphs.by_position(graph, 2, (-2, -1))
  by_hand = [[np.mean([graph[0, 2 * k + i, 2 * l + j] for k in (0, 1) for l in (0, 1)])
              for j in (0, 1)] for i in (0, 1)]
  np.testing.assert_array_equal(found[0], by_hand)
  np.testing.assert_array_equal(graphs.by_position(graph, 4, (-2, -1)), graph)
  np.testing.assert_array_equal(graphs.between_nodes(found), [[found[0, 0, 1], found[0, 1, 0]]])
