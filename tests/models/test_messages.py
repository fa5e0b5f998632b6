"""Messages along the edges of a graph: what they reach, and that they mean the same everywhere."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cvq.models.messages import AttentionMessages, OffsetMessages, neighbourhood

GRID, WIDTH = (6, 5), 8
S = GRID[0] * GRID[1]


def made(block, key=0):
  """-> apply(nodes, edges, noise) with random parameters, so that no bias is zero."""
  nodes, edges, noise = jnp.zeros((1, S, WIDTH)), jnp.ones((1, S, S)), jnp.zeros((1, 1, WIDTH))
  shapes = jax.eval_shape(lambda: block.init(jax.random.key(0), nodes, edges, noise))
  leaves, tree = jax.tree.flatten(shapes)
  keys = jax.random.split(jax.random.key(key), len(leaves))
  params = jax.tree.unflatten(
      tree, [.5 * jax.random.normal(k, x.shape) for k, x in zip(keys, leaves)])
  return lambda *inputs: block.apply(params, *inputs)


def blocks():
  return {'offsets': OffsetMessages(reach=1, inner=3, mlp=7, grid=GRID),
          'attention': AttentionMessages(heads=2, mlp=7, grid=GRID)}


@pytest.mark.parametrize('reach', [1, 2, 7])
def test_the_neighbourhood_is_where_a_loop_finds_it(reach):
  found = neighbourhood(GRID, reach)
  side = 2 * reach + 1
  chex.assert_shape(found, (S, S, side ** 2))
  expected = np.zeros_like(found)
  for i in range(S):
    for j in range(S):
      rows, cols = j // GRID[1] - i // GRID[1], j % GRID[1] - i % GRID[1]
      if max(abs(rows), abs(cols)) <= reach:
        expected[i, j, (rows + reach) * side + cols + reach] = 1
  np.testing.assert_array_equal(found, expected)


def test_what_is_learned_at_one_place_holds_at_all():
  """Nodes that stand a row and a column further on hear the same, away from the border."""
  apply = made(blocks()['offsets'])
  nodes = jax.random.normal(jax.random.key(1), (1, *GRID, WIDTH))
  moved = jnp.roll(nodes, (1, 1), axis=(1, 2))
  here, there = (apply(x.reshape(1, S, WIDTH), jnp.ones((1, S, S)), None).reshape(x.shape)
                 for x in (nodes, moved))
  np.testing.assert_allclose(there[:, 2:-1, 2:-1], here[:, 1:-2, 1:-2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', ['offsets', 'attention'])
def test_nothing_passes_where_there_is_no_edge(name):
  """Node 7 hears nodes 1 and 13, next to it, and not 8; a weight between 0 and 1 is felt."""
  apply = made(blocks()[name])
  edges = jnp.eye(S).at[7, 1].set(1.).at[7, 13].set(.5)[None]
  nodes = jax.random.normal(jax.random.key(1), (1, S, WIDTH))
  of_node = lambda nodes, edges: apply(nodes, edges, None)[0, 7]
  by_node, by_edge = jax.jacobian(of_node, argnums=(0, 1))(nodes, edges)
  heard = np.flatnonzero(np.abs(by_node[:, 0]).max((0, 2)) > 1e-6)
  np.testing.assert_array_equal(heard, [1, 7, 13])
  assert float(jnp.abs(by_edge[:, 0, 7, 13]).max()) > 1e-3


@pytest.mark.parametrize('name', ['offsets', 'attention'])
def test_noise_is_one_more_parent_of_all_nodes(name):
  apply = made(blocks()[name])
  nodes = jax.random.normal(jax.random.key(1), (1, S, WIDTH))
  draw = jax.random.normal(jax.random.key(2), (1, 1, WIDTH))
  quiet, loud = (apply(nodes, jnp.ones((1, S, S)), noise) for noise in (0 * draw, draw))
  assert float(jnp.abs(loud - quiet).max(-1).min()) > 1e-3
