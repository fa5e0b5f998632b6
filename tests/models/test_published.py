"""Each mistake of the published code, put back, breaks what the layer does right without it."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import dsprites
from cvq import config as configuration
from cvq.models import ct_vae, gat, prediction as pred, published
from tests.models import graph_layer
from tests.models.graph_layer import A, V


def make(mistake):
  layer, params, codes, actions = graph_layer.make(self_edges='all')
  fields = {name: getattr(layer, name) for name in (
      'codebooks', 'codes', 'grid', 'num_actions', 'edge_hidden', 'hidden', 'self_edges')}
  return published.PublishedTransition(mistake=mistake, **fields), layer, params, codes, actions


def test_a_silent_action_is_not_heard():
  wrong, right, params, codes, actions = make(published.SILENT)

  def heard(layer):
    logits = lambda embedding: graph_layer.predict(
        layer, params | {'action': {'embedding': embedding}}, codes, actions).logits.sum((0, 1, 2))
    return np.abs(jax.jacobian(logits)(params['action']['embedding'])).max()

  assert heard(wrong) == 0 < heard(right)


def test_the_mask_of_parents_replaces_columns():
  wrong, right, params, codes, actions = make(published.PARENTS)
  out, expected = (graph_layer.predict(layer, params, codes, actions) for layer in (wrong, right))
  chex.assert_trees_all_equal(out.mask, expected.mask)
  m = np.asarray(out.mask)[..., None, :]                       # on the side of the parent
  weigh = lambda logits: np.square(jax.nn.sigmoid(logits))
  graph = ((1 - m) * weigh(out.observational_logits)[:, None] + m * weigh(out.edge_logits))
  graph = np.where(np.eye(V, dtype=bool), 1., graph)
  np.testing.assert_allclose(out.graph, graph, rtol=1e-5)
  assert np.abs(out.graph - expected.graph).max() > .05


def test_clamping_kills_the_gradient_where_the_model_is_confidently_wrong():
  wrong, right, params, codes, actions = make(published.CLAMPED)
  sure = jax.tree.map(lambda x: 50 * x, params['last'])        # of one code, whichever

  def slope(layer):
    out = graph_layer.predict(layer, params | {'last': sure}, codes, actions)
    least = np.asarray(out.logits).argmin(-1)                  # [B, A, V]

    def nll(last):
      out = graph_layer.predict(layer, params | {'last': last}, codes, actions)
      y_codes = jnp.asarray(least[:, :1])                      # of the first action
      return -pred.log_probability(out, codes, y_codes)[:, 0, 0].mean()

    return nll(sure), optax.tree.norm(jax.grad(nll)(sure))

  (least, dead), (most, alive) = slope(wrong), slope(right)
  assert least < -np.log(1e-4) + .01 < most
  assert alive > .1 and dead < .01 * alive


def test_what_is_drawn_in_evaluation_is_no_mean_and_repeats():
  wrong, right, params, codes, actions = make(published.DRAWN)
  out = graph_layer.predict(wrong, params, codes, actions, seed=None)
  chex.assert_trees_all_equal(out, graph_layer.predict(wrong, params, codes, actions, seed=1))
  assert set(np.unique(out.mask)) == {0., 1.}
  mean = graph_layer.predict(right, params, codes, actions).mask
  assert set(np.unique(mean)) != {0., 1.}


@pytest.mark.parametrize('mistake', published.MISTAKES)
def test_a_config_chooses_the_mistake(mistake):
  config = dsprites.get_config('paper')
  assert type(ct_vae.build(config.model, (64, 64, 1), A).transition) is gat.GraphTransition
  config.model.transition.mistake = mistake
  configuration.validate(config)
  layer = ct_vae.build(config.model, (64, 64, 1), A).transition
  assert layer.mistake == mistake and layer.self_edges == 'all'
