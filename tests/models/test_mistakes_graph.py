"""Mistakes of the published code (DESIGN section 5) that live in the causal graph."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from tests.models import graph_layer
from tests.models.graph_layer import A, B, V


class MistakesTest(chex.TestCase):

  def test_2_the_action_sends_messages(self):
    """d logits / d action embedding: alive where the mask is 1, dead where no path leads."""
    layer, params, codes, actions = graph_layer.make()
    mask = jnp.zeros((B, A, V)).at[:, :, 2].set(1.)
    graph = jnp.broadcast_to(jnp.eye(V), (B, A, V, V))       # so messages stay where they arrive

    def logits(embedding):
      changed = params | {'action': {'embedding': embedding}}
      return graph_layer.infer(layer, changed, codes, graph, mask, actions)[0, 1]

    jacobian = jax.jacobian(logits)(params['action']['embedding'])           # [V, N, A, N]
    reach = np.abs(jacobian).max(axis=(1, 3))                                # [V, A]
    expected = np.zeros((V, A), bool)
    expected[2, 1] = True                                    # the variable it acts on, own action
    np.testing.assert_array_equal(reach > 1e-6, expected)

  def test_2_a_child_of_the_intervened_variable_hears_of_it(self):
    """Two layers: action -> variable 2 -> its child 3, and nobody else."""
    layer, params, codes, actions = graph_layer.make()
    mask = jnp.zeros((B, A, V)).at[:, :, 2].set(1.)
    graph = jnp.broadcast_to(jnp.eye(V).at[3, 2].set(1.), (B, A, V, V))
    run = lambda scale: graph_layer.infer(
        layer, params | {'action': {'embedding': scale * params['action']['embedding']}},
        codes, graph, mask, actions)
    moved = np.abs(run(1.) - run(2.)).max(axis=(0, 1, 3)) > 1e-6
    np.testing.assert_array_equal(moved, [False, False, True, True, False, False])

  def test_3_the_mask_replaces_the_parents_not_the_children(self):
    """Intervening on variable 2 changes row 2 of the graph in use, whoever asks."""
    layer, params, codes, actions = graph_layer.make(evaluation_sampling='threshold')
    out = graph_layer.predict(layer, params, codes, actions)
    weigh = lambda logits: np.where(logits > 0, jax.nn.sigmoid(logits), 0.)
    rows = np.asarray(out.mask)[..., None]                                   # [B, A, V, 1]
    self.assertEqual(set(rows.ravel()), {0., 1.})            # both kinds are there
    expected = np.where(rows > 0, weigh(out.edge_logits),
                        weigh(out.observational_logits)[:, None])
    np.testing.assert_allclose(out.graph, expected, rtol=1e-6)
    # And rows are children where the graph is used: new parents of 2 move 2 and who hears of it.
    graph = jnp.broadcast_to(jnp.eye(V).at[3, 2].set(1.), (B, A, V, V))
    mask = jnp.zeros((B, A, V)).at[:, :, 2].set(1.)
    run = lambda graph: graph_layer.infer(layer, params, codes, graph, mask, actions)
    moved = np.abs(run(graph) - run(graph.at[:, :, 2, 5].set(1.))).max(axis=(0, 1, 3)) > 1e-6
    np.testing.assert_array_equal(moved, [False, False, True, True, False, False])

  def test_5_nothing_is_drawn_in_evaluation(self):
    layer, params, codes, actions = graph_layer.make()
    run = lambda train, seed: graph_layer.predict(
        layer, params, codes, actions, train=train, seed=seed)
    chex.assert_trees_all_equal(run(False, 0), run(False, 1))
    self.assertFalse(np.array_equal(run(True, 0).graph, run(True, 1).graph))
    chex.assert_trees_all_equal(run(False, None), run(False, 0))
