"""A model and batches small enough to compile in seconds, shared by the tests."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from configs import common
from cvq import state as train_state
from cvq.models import ct_vae

SHAPE = (16, 16, 1)
NUM_ACTIONS = 4


def config(**fields: Any):
  """The default experiment at toy size; `fields` are flattened names with '__' for '.'."""
  c = common.base()
  c.name = c.dataset.name = 'toy'
  c.model.latent_dim = 8
  c.model.encoder.update(width=8, patch=8, widths=(4, 8, 8), residual_blocks=1)
  c.model.decoder.update(width=8, inner=4, patch=8, widths=(8, 8, 4), residual_blocks=1)
  c.model.quantizer.codes = 6
  c.model.transition.update(width=8, inner=4, heads=2, mlp=8, edge_hidden=4, hidden=4)
  c.model.global_level.update(codes=16, width=8, inner=4)
  c.pretrain.update(steps=2, batch_size=8, warmup=0)
  c.train.update(steps=4, batch_size=8, targets=2)
  c.train_global.update(steps=2, batch_size=8, targets=2, warmup=0)
  c.update_from_flattened_dict({name.replace('__', '.'): v for name, v in fields.items()})
  return c


def paper_config(**fields: Any):
  """The paper's model and losses at toy size, without randomness in the graph."""
  c = common.experiment('paper', 'toy', '', images=64, transitions=64)
  small = config()
  for name in ('encoder', 'decoder'):
    small.model[name].name = 'conv'
    c.model[name].update(small.model[name])
  c.model.transition.update(edge_hidden=4, hidden=4)
  c.model.latent_dim, c.model.quantizer.codes = 8, 6
  c.pretrain.update(steps=2, batch_size=8, decay_every=1)
  c.train.update(steps=4, batch_size=8, decay_every=1)
  c.update_from_flattened_dict({name.replace('__', '.'): v for name, v in fields.items()})
  return c


def build(c: Any, seed: int = 0):
  """(model, optimizer, state) of a config."""
  model = ct_vae.build(c.model, SHAPE, NUM_ACTIONS)
  optimizer = train_state.make_optimizer(c)
  return model, optimizer, train_state.create(model, optimizer, jax.random.key(seed), SHAPE)


def batch(seed: int = 0, size: int = 8, targets: int = 2) -> dict:
  """A training batch of random images: uint8 pixels, actions in range."""
  rng = np.random.default_rng(seed)
  pixels = lambda *shape: (255 * (rng.random((*shape, *SHAPE)) < .3)).astype(np.uint8)
  return {'x': pixels(size), 'y': pixels(size, targets),
          'action': rng.integers(0, NUM_ACTIONS, (size, targets), dtype=np.int32)}
