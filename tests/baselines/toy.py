"""Baselines at toy size: models of 16x16 images, and a config file for whole runs.

  --config=tests/baselines/toy.py:METHOD
"""

import importlib

import jax

from cvq import methods, state as train_state
from tests import small

NAMES = ('inverse', 'beta_vae', 'ada_gvae', 'qlae')


def get_config(arg: str = 'qlae'):
  """A baseline on dSprites with a toy model, 6 steps."""
  config = importlib.import_module(f'configs.baselines.{arg}').get_config('smoke')
  config.preset = 'toy'
  fields = {'widths': (4, 8), 'hidden': 8, 'latents': 4, 'width': 8, 'codes': 4}
  config.model.update({name: fields[name] for name in config.model if name in fields})
  config.train.update(steps=6, batch_size=4, targets=2, warmup=0)
  config.evaluation.update(examples=24, during=16, batch_size=8)
  config.log.update(every=1, evaluate_every=6, picture_every=6)
  config.checkpoint.every = 2
  return config


def build(name: str):
  """(config, model, optimizer, state) of a baseline on images of `tests.small.SHAPE`."""
  config = get_config(name)
  config.model.widths = (8,)
  config.train.update(steps=120, learning_rate=1e-2, decay='constant')
  if name != 'inverse':
    config.model.update(latents=6, hidden=32, width=32)
  model = methods.METHODS[name].build(config, small.SHAPE, small.NUM_ACTIONS)
  optimizer = train_state.make_optimizer(config)
  return config, model, optimizer, train_state.create(
      model, optimizer, jax.random.key(0), small.SHAPE)
