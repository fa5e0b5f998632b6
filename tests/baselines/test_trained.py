"""A trained baseline answers as its model does in evaluation."""

import jax
import numpy as np

from cvq.baselines import planning
from cvq.baselines.trained import TrainedLatent
from tests import small
from tests.baselines import toy


def test_images_are_those_that_evaluation_judges():
  config, model, _, state = toy.build('qlae')
  names = tuple(f'action{i}' for i in range(small.NUM_ACTIONS))
  trained = TrainedLatent(model, state.params, config, names)
  rng = np.random.default_rng(0)
  x, y = rng.integers(256, size=(2, 5, *small.SHAPE), dtype=np.uint8)
  action = rng.integers(small.NUM_ACTIONS, size=5)
  judged = jax.jit(lambda *pair: model.apply(
      {'params': state.params}, *pair, action, method=model.judge))(
          np.float32(x) / 255, np.float32(y) / 255)['images']
  np.testing.assert_allclose(
      trained.intervene(x, action).images, judged['intervention'], atol=1e-6)
  np.testing.assert_allclose(
      trained.decode(trained.encode(y)), judged['reconstruction'], atol=1e-6)
  assert np.ptp(trained.intervene(x, action).images, axis=0).max() > 1e-4


def test_plans_are_those_of_the_search_over_its_latents():
  config, model, _, state = toy.build('beta_vae')
  names = tuple(f'action{i}' for i in range(small.NUM_ACTIONS))
  trained = TrainedLatent(model, state.params, config, names)
  x, y = np.random.default_rng(0).integers(256, size=(2, 6, *small.SHAPE), dtype=np.uint8)
  predict = jax.jit(lambda z: model.apply({'params': state.params}, z, method=model.predict))
  actions, far = planning.search(predict, trained.encode(x), trained.encode(y), 2, 3)
  plans = trained.plan(x, y, max_steps=2, beam=3)
  assert [plan.actions for plan in plans] == [tuple(names[a] for a in row) for row in actions]
  np.testing.assert_allclose([-plan.score for plan in plans], far, rtol=1e-5)
  assert any(actions)
