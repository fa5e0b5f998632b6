"""The posterior over actions: forward, and from both ends of a transition."""

from absl.testing import parameterized
import chex
import jax
import jax.numpy as jnp
import numpy as np

from cvq import objectives
from cvq.models import prediction as pred
from tests import small


class PosteriorTest(chex.TestCase, parameterized.TestCase):

  def _set_up(self, posterior):
    model, _, state = small.build(small.config(model__posterior=posterior))
    params = dict(state.params, log_temperature=jnp.float32(.5))
    self.variables = state.replace(params=params).variables
    images = objectives.to_float(small.batch()['y'])
    x, y = (model.apply(self.variables, images[:, i], method=model.encode) for i in (0, 1))
    score = lambda x, y: model.apply(self.variables, x, y, method=model.posterior_logits)
    return model, score, x, y

  @chex.variants(with_jit=True, without_jit=True)
  def test_forward_scores_the_codes_of_y_under_each_action_alone(self):
    model, score, x, y = self._set_up('forward')
    actual = self.variant(score)(x, y)
    chex.assert_shape(actual, (8, small.NUM_ACTIONS))
    for a in range(small.NUM_ACTIONS):
      one = model.apply(
          self.variables, x, jnp.full((8, 1), a), train=False, method=model.predict)
      log_prob = pred.log_probability(one, x.codes, y.codes[:, None])[:, 0, 0].sum(-1)
      np.testing.assert_allclose(actual[:, a], log_prob / np.exp(.5), rtol=1e-4)

  @chex.variants(with_jit=True, without_jit=True)
  def test_both_joins_forward_and_the_opposite_backward(self):
    _, forward, x, y = self._set_up('forward')
    _, both, _, _ = self._set_up('both')
    there, back = np.asarray(forward(x, y)), np.asarray(forward(y, x))
    opposite = np.array([2, 3, 0, 1])          # A = 4: +1 of factors 0, 1, then -1 of each
    np.testing.assert_allclose(
        self.variant(both)(x, y), (there + back[:, opposite]) / 2 ** .5, rtol=1e-4)
    self.assertGreater(np.abs(there - back[:, opposite]).max(), 1e-3)

  def test_swapped_ends_swap_opposite_actions(self):
    _, both, x, y = self._set_up('both')
    np.testing.assert_allclose(
        jax.nn.softmax(both(x, y)), jax.nn.softmax(both(y, x))[:, [2, 3, 0, 1]], atol=1e-6)

  def test_posterior_starts_at_the_temperature_of_the_config(self):
    images = objectives.to_float(small.batch()['y'])

    def scores(temperature):
      model, _, state = small.build(small.config(model__temperature=temperature))
      x, y = (model.apply(state.variables, images[:, i], method=model.encode) for i in (0, 1))
      return np.asarray(model.apply(state.variables, x, y, method=model.posterior_logits))

    np.testing.assert_allclose(scores(64.), scores(1.) / 64, rtol=1e-4)
