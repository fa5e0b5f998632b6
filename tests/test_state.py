"""The optimizer: what it does to a kernel, and to all else."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cvq import state as train_state
from tests import small

RATE = 2e-3


def config(**fields):
  """A constant rate and no clip, so that a step shows what the optimizer made of the gradient."""
  return small.config(**{'pretrain__learning_rate': RATE, 'train__clip': 0.} | fields)


def tree(seed: int = 0) -> dict:
  """Parameters, or their gradient: kernels of a dense layer and a convolution, and others."""
  rng = np.random.default_rng(seed)
  normal = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)
  return {'dense': {'kernel': normal(12, 5), 'bias': normal(5)},
          'conv': {'kernel': normal(3, 3, 4, 6)}, 'quantizer': {'codebook': normal(2, 6, 4)}}


def first_step(c, gradient: dict, params: dict) -> dict:
  optimizer = train_state.make_optimizer(c)
  return jax.jit(optimizer.update)(gradient, optimizer.init(params), params)[0]


def test_muon_steps_by_the_nearest_orthogonal_matrix():
  """Five iterations of Newton and Schulz leave singular values between .68 and 1.14, about."""
  gradient = tree()['dense']['kernel']
  step = first_step(config(), tree(), tree(1))['dense']['kernel']
  left, _, right = np.linalg.svd(gradient, full_matrices=False)
  inside = left.T @ np.asarray(step) @ right.T
  along = np.diag(inside) / -(RATE * train_state.MUON_RMS * 12 ** .5)
  np.testing.assert_array_less(.6, along)
  np.testing.assert_array_less(along, 1.25)
  np.testing.assert_allclose(inside - np.diag(np.diag(inside)), 0, atol=1e-2 * RATE)


def test_muon_takes_each_tap_of_a_convolution_alone():
  c, gradient, params = config(), tree(), tree(1)
  whole = first_step(c, gradient, params)['conv']['kernel']
  one = lambda part: {'tap': {'kernel': part['conv']['kernel'][1, 2]}}
  chex.assert_trees_all_close(
      whole[1, 2], first_step(c, one(gradient), one(params))['tap']['kernel'], rtol=1e-4)


def test_muon_leaves_all_but_kernels_to_adam():
  c, gradient, params = config(), tree(), tree(1)
  others = lambda part: {'bias': part['dense']['bias'], 'codes': part['quantizer']['codebook']}
  adam = optax.nadam(RATE, b2=c.train.b2)
  expected, _ = adam.update(others(gradient), adam.init(others(params)))
  chex.assert_trees_all_close(others(first_step(c, gradient, params)), expected, rtol=1e-5)


@pytest.mark.parametrize('optimizer', ['muon', 'adam'])
def test_kernels_alone_decay(optimizer):
  gradient, params = tree(), tree(1)
  plain, decayed = (first_step(
      config(train__optimizer=optimizer, train__weight_decay=decay), gradient, params)
                    for decay in (0., .1))
  shrunk = jax.tree.map(lambda p: -RATE * .1 * p, params)
  shrunk['dense']['bias'] *= 0
  shrunk['quantizer']['codebook'] *= 0
  chex.assert_trees_all_close(
      jax.tree.map(lambda a, b: a - b, decayed, plain), shrunk, atol=1e-7)


def test_adam_is_adam():
  gradient, params = tree(), tree(1)
  adam = optax.adam(RATE, b2=config().train.b2)
  expected, _ = adam.update(gradient, adam.init(params))
  chex.assert_trees_all_close(
      first_step(config(train__optimizer='adam'), gradient, params), expected, rtol=1e-5)
