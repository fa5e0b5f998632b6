"""Checks of a config and a work directory before any long work begins. Imports no JAX.

Every message names the field, its value and the remedy; `cvq.main` shows it and leaves with 2.
"""

from __future__ import annotations

import math
import os
import pathlib
import tempfile
from typing import Any, Iterator

from cvq.errors import UserError

CHOICES = {
    'method': ('ct_vae', 'inverse', 'beta_vae', 'ada_gvae', 'qlae'),
    'dataset.splits': ('random', 'compositional', 'published'),
    'dataset.actions': ('levelled', 'natural'),
    'model.posterior': ('both', 'forward'),
    'model.likelihood': ('bernoulli', 'gaussian'),
    'model.encoder.name': ('patch', 'conv'),
    'model.decoder.name': ('patch', 'conv'),
    'model.quantizer.learning': ('gradient', 'ema'),
    'model.quantizer.gradient': ('straight_through', 'rotation'),
    'model.quantizer.init': ('random', 'data'),
    'model.transition.name': ('tied', 'graph'),
    'model.transition.messages': ('offsets', 'attention'),
    'model.transition.edges': ('learned', 'all', 'none'),
    'model.transition.attention': ('gatv2', 'dot'),
    'model.transition.self_edges': ('learned', 'all'),
    'model.transition.mistake': (
        'none', 'silent_action', 'mask_of_parents', 'clamped', 'drawn_in_evaluation'),
    'model.transition.noise': ('off', 'exo', 'endo'),
    'model.transition.sampling': ('gumbel', 'mean'),
    'model.transition.evaluation_sampling': ('mean', 'threshold'),
    'pretrain.decay': ('constant', 'cosine', 'exponential'),
    'train_global.decay': ('constant', 'cosine', 'exponential'),
    'train.decay': ('constant', 'cosine', 'exponential'),
    'train.modes': ('mixed', 'alternate'),
    'train.predicted': ('worst', 'first'),
    'train.optimizer': ('muon', 'adam'),
    'train.trainable': ('all', 'transition'),
    'train.products': ('float32', 'bfloat16'),
    'evaluation.split': ('train', 'validation', 'test'),
}
# May be 0; every other number of a config must be positive.
_MAY_BE_ZERO = {
    'seed', 'dataset.split_seed', 'dataset.transitions_per_step', 'model.encoder.margin',
    'model.encoder.residual_blocks', 'model.decoder.residual_blocks',
    'model.quantizer.revive_every', 'model.quantizer.revive_until',
    'model.transition.noise_scale', 'model.global_level.codes',
    'pretrain.steps', 'pretrain.warmup', 'train.warmup', 'train_global.steps',
    'train_global.warmup',
    'train.clip', 'train.weight_decay', 'evaluation.examples', 'evaluation.seed', 'log.trace',
    'checkpoint.keep_best'}
_MAY_BE_NEGATIVE = {'model.decoder.bias'}
_LARGEST = 2**31 - 1          # of whole numbers: what the device counts with
_BELOW_ONE = {'model.quantizer.decay', 'loss.edge_prior', 'train.b2', 'train.split_at'}
_LEAST_FREE = 64 * 2**20      # bytes: a checkpoint of the default model takes about 9 MB


def leaves(config: Any, prefix: str = '') -> Iterator[tuple[str, Any]]:
  """(dotted name, value) of every field that is not itself a group."""
  for key in config:
    value = config[key]
    if hasattr(value, 'keys'):
      yield from leaves(value, f'{prefix}{key}.')
    else:
      yield prefix + key, value


def validate(config: Any) -> None:
  """Checks every field on its own and against the others. Raises UserError."""
  values = dict(leaves(config))
  for name, known in CHOICES.items():
    if name in values and values[name] not in known:     # a baseline has another model
      raise UserError(f'{name} is {values[name]!r}; choose one of {", ".join(known)}: '
                      f'--config.{name}={known[0]}')
  for name, value in values.items():
    _check_number(name, value)
  if ('quantizer' in config.model) != (config.method == 'ct_vae'):
    raise UserError(f'method is {config.method}, but the model of this config is another one.\n'
                    'Take the config of the method: configs/baselines/ has one for each baseline.')
  _check_shares('dataset.fractions', config.dataset.fractions)
  if len(config.train.mode_weights) != 3 or min(config.train.mode_weights) < 0 \
      or not sum(config.train.mode_weights) > 0:
    raise UserError(f'train.mode_weights is {tuple(config.train.mode_weights)}; it needs three '
                    'weights (base, action, causal), none negative, not all 0.')
  if config.method == 'ct_vae':
    _check_ct_vae(config.model)
    _check_global_level(config)
    _check_base_mode(config)
  else:
    _check_baseline(config)
  steps = [config[stage].steps for stage in ('pretrain', 'train', 'train_global')]
  if sum(steps) > _LARGEST:
    raise UserError(f'train.steps is {config.train.steps}; with those of the other stages '
                    f'({sum(steps):,}) at most {_LARGEST:,} are taken: --config.train.steps=...')


def check_training(config: Any) -> None:
  """`validate`, and what training alone needs: older runs without it can still be read."""
  validate(config)
  shares, layer = config.dataset.fractions, config.model.get('transition')
  needed = [] if config.dataset.splits == 'published' else ['train', 'validation']
  if config.dataset.splits == 'random' and config.evaluation.split == 'test':
    needed.append('test')
  for split, share in zip(needed, shares):
    if not share:
      raise UserError(f'dataset.fractions is {tuple(shares)}, which leaves no {split} split; a run '
                      "needs one: --config.dataset.fractions='(.7,.15,.15)'")
  if has_alternatives(config) and config.train.modes == 'alternate':
    raise UserError(f'model.transition.alternatives is {layer.alternatives}, but train.modes is '
                    'alternate, where they cannot part after train.split_at of the steps.\n'
                    'Set --config.train.modes=mixed or --config.model.transition.alternatives=1')


def has_alternatives(config: Any) -> bool:
  """Whether an action may have several outcomes; only our own layer knows them."""
  if config.method != 'ct_vae':
    return False
  layer = config.model.transition
  return layer.name == 'tied' and layer.alternatives > 1


def _check_baseline(config: Any) -> None:
  if config.train.products != 'float32':
    raise UserError(f'train.products is {config.train.products}; baselines train in float32: '
                    '--config.train.products=float32')
  for stage in ('pretrain', 'train_global') if config.method == 'inverse' else ('train_global',):
    if config[stage].steps:
      raise UserError(f'{stage}.steps is {config[stage].steps}, but {config.method} has no such '
                      f'stage: --config.{stage}.steps=0')


def _check_base_mode(config: Any) -> None:
  t = config.train
  if t.modes == 'alternate' and t.trainable == 'transition' and t.mode_weights[0] \
      and config.model.transition.name == 'tied':
    raise UserError(f'train.mode_weights is {tuple(t.mode_weights)}, but in base mode, its first, '
                    'the tied layer learns nothing, and train.trainable is transition.\n'
                    "Leave it out: --config.train.mode_weights='(0,1,1)'")


def _check_ct_vae(m: Any) -> None:
  q, t = m.quantizer, m.transition
  if m.latent_dim % q.codebooks:
    raise UserError(
        f'model.latent_dim is {m.latent_dim}, which {q.codebooks} codebooks '
        f'(model.quantizer.codebooks) cannot share.\n'
        f'Try --config.model.latent_dim={math.ceil(m.latent_dim / q.codebooks) * q.codebooks}')
  if t.name == 'tied' and t.messages == 'attention' and t.width % t.heads:
    raise UserError(f'model.transition.width is {t.width}, which {t.heads} heads '
                    '(model.transition.heads) cannot share.\n'
                    f'Try --config.model.transition.width={math.ceil(t.width / t.heads) * t.heads}')
  if t.name == 'tied' and not q.unit:
    raise UserError('model.transition.name is tied, which needs unit codes.\n'
                    'Set --config.model.quantizer.unit=True, or --config.model.transition.name='
                    'graph')
  if t.name == 'tied' and t.mistake != 'none':
    raise UserError(f"model.transition.mistake is {t.mistake}, of the paper's layer; this one is "
                    'tied.\nSet --config.model.transition.mistake=none, or take the config of the '
                    'paper: --config=configs/baselines/paper.py')


def _check_global_level(config: Any) -> None:
  codes, steps = config.model.global_level.codes, config.train_global.steps
  if bool(codes) != bool(steps):
    raise UserError(f'model.global_level.codes is {codes}, train_global.steps is {steps}: a global '
                    'level has both, a model without one neither.\nWithout: '
                    '--config.model.global_level.codes=0 --config.train_global.steps=0')


def _check_number(name: str, value: Any) -> None:
  if isinstance(value, (bool, str)):
    return
  if 'widths' in name and not value:
    raise UserError(f'{name} is {value}; it needs a width for each halving of the image: '
                    f"--config.{name}='(64,128)'")
  for number in value if isinstance(value, (tuple, list)) else (value,):
    if not isinstance(number, (int, float)):
      if name == 'dataset.attributes':                 # of CelebA: names
        continue
      raise UserError(f'{name} is {value}; it takes numbers: --config.{name}=...')
    if not math.isfinite(number):
      raise UserError(f'{name} is {value}; it must be a finite number.')
    if isinstance(number, int) and number > _LARGEST:
      raise UserError(f'{name} is {value}; at most {_LARGEST:,} is taken: --config.{name}=...')
    if name.startswith('loss.') or isinstance(value, (tuple, list)) and 'widths' not in name \
        or name in _MAY_BE_ZERO:
      least, word = 0, 'must not be negative'
    elif name in _MAY_BE_NEGATIVE:
      continue
    else:
      least, word = math.ulp(0.), 'must be positive'
    if number < least:
      raise UserError(f'{name} is {value}; it {word}: --config.{name}=...')
    if name in _BELOW_ONE and not 0 < number < 1:
      raise UserError(f'{name} is {value}; it must lie between 0 and 1: --config.{name}=...')


def _check_shares(name: str, shares: tuple[float, ...]) -> None:
  if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
    raise UserError(f'{name} is {tuple(shares)}; it needs three shares (train, validation, test), '
                    'none negative, that sum to 1.')


def validate_devices(config: Any, devices: int, processes: int) -> None:
  """Checks that devices can share the batches. Raises UserError."""
  for name in ('pretrain.batch_size', 'train.batch_size', 'train_global.batch_size'):
    stage, field = name.split('.')
    size = config[stage][field]
    if config[stage].steps and size % devices:
      raise UserError(
          f'{name} is {size}, which {devices} devices ({processes} processes) cannot share.\n'
          f'Try --config.{name}={math.ceil(size / devices) * devices}')


def validate_image_shape(config: Any, shape: tuple[int, int, int]) -> None:
  """Checks that encoder and decoder fit images [H, W, C] and each other. Raises UserError."""
  if shape[2] not in (1, 3):
    raise UserError(f'Images of {shape[2]} channels: pictures need 1 (grey) or 3 (RGB).\n'
                    'Let the dataset\'s `read` return as many.')
  m, strides = config.model, {}
  parts = {'model.encoder': m.encoder, 'model.decoder': m.decoder} \
      if config.method == 'ct_vae' else {'model': m}     # a baseline's decoder mirrors its encoder
  for part, c in parts.items():
    patch = c.get('name') == 'patch'
    stride = strides[part] = c.patch if patch else 2 ** len(c.widths)
    if shape[0] % stride or shape[1] % stride:
      field, remedy = ('patch', f'a divisor: --config.{part}.patch=8') if patch else (
          'widths', f'fewer entries in --config.{part}.widths')
      raise UserError(f'Images of {shape[0]}x{shape[1]} pixels cannot be reduced by {stride} '
                      f'({part}.{field}); choose {remedy}')
  if len(set(strides.values())) > 1:
    reduced, enlarged = strides.values()
    raise UserError(f'The encoder reduces images by {reduced}, the decoder enlarges them by '
                    f'{enlarged}.\nMake model.encoder and model.decoder agree (patch, or the '
                    'number of widths).')


def check_workdir(path: str) -> None:
  """Checks that a work directory can be made, written, and has room. Raises UserError."""
  folder = pathlib.Path(path).absolute()
  existing = next(p for p in (folder, *folder.parents) if os.path.exists(p))   # False if unsure
  if not existing.is_dir():
    raise UserError(f'--workdir={path}: {existing} is a file.\nChoose a directory.')
  try:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
      file.write(bytes(2**16))
      file.flush()
  except OSError as error:
    raise UserError(f'--workdir={path} cannot be written: {error.strerror}.\n'
                    'Choose another directory, or make room.') from error
  space = os.statvfs(folder)
  free = space.f_bavail * space.f_frsize
  if free < _LEAST_FREE:
    raise UserError(f'--workdir={path} has {free >> 20} MB left; a run needs at least '
                    f'{_LEAST_FREE >> 20} MB.\nMake room or choose another directory.')
