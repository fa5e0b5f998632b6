"""What training and evaluation both need, made from a config: data, model, steps, first state."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Callable

import jax
import optax

from cvq import config as configuration
from cvq import methods, parallel, state as train_state
from cvq.data import datasets


@dataclasses.dataclass(frozen=True)
class Run:
  """Everything a run works with, except its place on disk.

  Attributes:
    dataset: images and factors.
    model, optimizer: static.
    state: the first state, from the config's seed.
    method: what the model is trained and judged by.
  """
  dataset: Any
  model: Any
  optimizer: optax.GradientTransformation
  state: train_state.TrainState
  method: methods.Method = methods.CT_VAE

  @functools.cached_property
  def eval_step(self) -> Callable:
    """The method's `eval_step` of the model, parallel."""
    return parallel.parallel_eval_step(
        functools.partial(self.method.eval_step, model=self.model))


def open_run(config: Any) -> Run:
  """Checks the config against devices and data, prepares the data, and builds the model.

  Raises:
    UserError: see `cvq.config` and `cvq.data.datasets`.
  """
  configuration.validate(config)
  configuration.validate_devices(config, parallel.device_count(), parallel.process()[1])
  dataset = datasets.load_dataset(config.dataset)
  shape = dataset.images.image_shape
  configuration.validate_image_shape(config, shape)
  if config.train.products != 'float32' and jax.default_backend() == 'cpu' and parallel.first():
    print(f'train.products={config.train.products}: on a CPU training is no faster for it.',
          flush=True)
  method = methods.METHODS[config.method]
  model = method.build(config, shape, dataset.space.num_actions)
  optimizer = train_state.make_optimizer(config)
  state = train_state.create(model, optimizer, jax.random.key(config.seed), shape)
  return Run(dataset, model, optimizer, state, method)
