"""What a training run carries from step to step."""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax


@flax.struct.dataclass
class TrainState:
  """Attributes:
    step: int32 [] gradient steps done, over all stages.
    params: of the model.
    stats: the mutable collection 'codebook': usage of codes, and EMA codebooks; {} of a baseline.
    opt_state: of `make_optimizer`.
  """
  step: jax.Array
  params: Any
  stats: Any
  opt_state: Any

  @property
  def variables(self) -> dict:
    """The collections that the model's `apply` takes."""
    return {'params': self.params, 'codebook': {'quantizer': self.stats}}


def stage_schedule(stage: Any) -> optax.Schedule:
  """Learning rate of one stage (config.pretrain, .train, .train_global) from its step 0 on."""
  if stage.decay == 'cosine':
    decay = optax.cosine_decay_schedule(stage.learning_rate, max(stage.steps - stage.warmup, 1))
  elif stage.decay == 'exponential':
    decay = optax.exponential_decay(
        stage.learning_rate, stage.decay_every, stage.decay_rate, staircase=True)
  else:
    decay = optax.constant_schedule(stage.learning_rate)
  if not stage.warmup:
    return decay
  warmup = optax.linear_schedule(0., stage.learning_rate, stage.warmup)
  return optax.join_schedules([warmup, decay], [stage.warmup])


def learning_rate(config: Any) -> optax.Schedule:
  """Learning rate at every step of the run, through its stages."""
  stages = config.pretrain, config.train, config.train_global
  return optax.join_schedules(
      [stage_schedule(stage) for stage in stages],
      [config.pretrain.steps, config.pretrain.steps + config.train.steps])


def make_optimizer(config: Any) -> optax.GradientTransformation:
  """Adam with the run's schedule, behind a clip of the gradient's global norm.

  With config.train.weight_decay, kernels decay, decoupled from the gradient (AdamW).
  """
  t = config.train
  clip = optax.clip_by_global_norm(t.clip) if t.clip else optax.identity()
  if not t.weight_decay:
    return optax.chain(clip, optax.adam(learning_rate(config), b2=t.b2))
  return optax.chain(clip, optax.adamw(
      learning_rate(config), b2=t.b2, weight_decay=t.weight_decay, mask=_kernels))


def _kernels(params: Any) -> Any:
  """Which leaves are kernels, not biases, scales or codes."""
  return jax.tree_util.tree_map_with_path(
      lambda path, _: getattr(path[-1], 'key', None) == 'kernel', params)


def create(model: Any, optimizer: optax.GradientTransformation, key: jax.Array,
           image_shape: tuple[int, int, int]) -> TrainState:
  """A new state; the same key gives the same state on every process."""
  images = jnp.zeros((1, *image_shape))
  variables = jax.jit(model.init)(key, images, jnp.zeros((1, 1), jnp.int32))
  params, stats = variables['params'], variables.get('codebook', {}).get('quantizer', {})
  return TrainState(jnp.zeros((), jnp.int32), params, stats, optimizer.init(params))
