"""What a training run carries from step to step."""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from optax import contrib

# Five iterations (Jordan et al. 2024), each with coefficients: a loop, which compiles faster.
NEWTON_SCHULZ = ((3.4445, -4.7750, 2.0315),) * 5
MUON_RMS = .4        # root mean square of Muon's steps before the learning rate; of Adam's .2 to .4


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
  """The run's optimizer with its schedule, behind a clip of the gradient's global norm.

  'adam' is Adam. 'muon' is Muon for leaves named kernel (their momentum, orthogonalised: Jordan et
  al. 2024; at Adam's learning rate: Liu et al. 2025, section 2.2) and Adam with Nesterov's momentum
  for all else. With config.train.weight_decay, kernels decay, decoupled from the gradient (AdamW).
  """
  t = config.train
  clip = optax.clip_by_global_norm(t.clip) if t.clip else optax.identity()
  if t.optimizer == 'muon':
    return optax.chain(clip, contrib.muon(
        learning_rate(config), NEWTON_SCHULZ, weight_decay=t.weight_decay, adam_b2=t.b2,
        consistent_rms=MUON_RMS, muon_weight_dimension_numbers=_matrices))
  if not t.weight_decay:
    return optax.chain(clip, optax.adam(learning_rate(config), b2=t.b2))
  return optax.chain(clip, optax.adamw(
      learning_rate(config), b2=t.b2, weight_decay=t.weight_decay, mask=_kernels))


def _kernels(params: Any) -> Any:
  """Which leaves are kernels, not biases, scales or codes."""
  return jax.tree_util.tree_map_with_path(
      lambda path, _: getattr(path[-1], 'key', None) == 'kernel', params)


def _matrices(params: Any) -> Any:
  """Which axes of a leaf Muon takes for a matrix: the last two of a kernel; None of all else."""
  return jax.tree.map(
      lambda kernel: contrib.MuonDimensionNumbers(-2, -1) if kernel else None, _kernels(params))


def create(model: Any, optimizer: optax.GradientTransformation, key: jax.Array,
           image_shape: tuple[int, int, int]) -> TrainState:
  """A new state; the same key gives the same state on every process."""
  images = jnp.zeros((1, *image_shape))
  variables = jax.jit(model.init)(key, images, jnp.zeros((1, 1), jnp.int32))
  params, stats = variables['params'], variables.get('codebook', {}).get('quantizer', {})
  return TrainState(jnp.zeros((), jnp.int32), params, stats, optimizer.init(params))
