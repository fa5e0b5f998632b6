"""A small network that reads the factors off an image: the oracle's eyes.

It is trained on the images of the training split alone, once for each dataset, and kept in the
data directory. The models that it judges never meet it.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import pathlib
import time
from typing import Any, Callable, Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import safetensors
import safetensors.numpy

from cvq import files
from cvq.api import weights
from cvq.data import datasets, splits
from cvq.data.images import Images
from cvq.errors import UserError
from cvq.models.decoder import shifted_neighbours

VERSION = 2                   # of the network and its training: another one trains anew
BATCH = 128                   # images at once, in training and in reading
_PATCH = 8
_RATE = 2e-3
_UNREAD = ('data_dir', 'transitions_per_step', 'actions', 'imbalance')     # change no image


class FactorReader(nn.Module):
  """Images to logits over the values of each factor.

  Overlapping patches of twice the stride become positions of a grid; two residual blocks look at
  3x3 neighbours; the whole grid, flat so that places can be told to the pixel, feeds one softmax
  for each factor.
  """
  sizes: tuple[int, ...]
  width: int = 96
  hidden: int = 256

  @nn.compact
  def __call__(self, images: jax.Array) -> list[jax.Array]:
    """images: [B, H, W, C] in [0, 1] -> logits [B, size] of each factor."""
    x = nn.gelu(nn.Dense(self.width)(_windows(images)))
    for _ in range(2):
      y = nn.gelu(nn.Dense(self.width)(shifted_neighbours(nn.LayerNorm()(x))))
      x = x + nn.Dense(self.width)(y)
    x = nn.LayerNorm()(x.reshape(x.shape[0], -1))
    for _ in range(2):
      x = nn.gelu(nn.Dense(self.hidden)(x))
    return [nn.Dense(size)(x) for size in self.sizes]


def _windows(images: jax.Array) -> jax.Array:
  """Windows of 16x16 pixels, 8 apart, as vectors: [B, H, W, C] -> [B, h, w, 256 C]."""
  b, height, width, c = images.shape
  p = _PATCH
  rows, columns = -(-height // p), -(-width // p)
  x = jnp.pad(images, ((0, 0), (p // 2, rows * p - height + p // 2),
                       (p // 2, columns * p - width + p // 2), (0, 0)))
  x = x.reshape(b, rows + 1, p, columns + 1, p, c).swapaxes(2, 3)
  x = x.reshape(b, rows + 1, columns + 1, p * p * c)
  return jnp.concatenate(
      [x[:, i:i + rows, j:j + columns] for i in (0, 1) for j in (0, 1)], axis=-1)


@dataclasses.dataclass(frozen=True)
class Reader:
  """A trained network.

  Attributes:
    params: of `FactorReader`. about: what it was trained on and how, plain values.
    seconds: that its training took.
  """
  model: FactorReader
  params: Any
  about: dict
  seconds: float

  def read(self, images: np.ndarray) -> np.ndarray:
    """images: [n, H, W, C], uint8 or in [0, 1] -> the likeliest value of each factor [n, F]."""
    parts = []
    for start in range(0, len(images), BATCH):
      rows = images[start:start + BATCH]
      fill = np.zeros((BATCH - len(rows), *rows.shape[1:]), rows.dtype)
      parts.append(np.asarray(_read(self.model, self.params, np.concatenate([rows, fill])))
                   [:len(rows)])
    return np.concatenate(parts) if parts else np.zeros((0, len(self.model.sizes)), np.int32)


@functools.partial(jax.jit, static_argnums=0)
def _read(model: FactorReader, params: Any, images: jax.Array) -> jax.Array:
  return jnp.stack([head.argmax(-1) for head in model.apply(params, _to_float(images))], axis=-1)


def _to_float(images: jax.Array) -> jax.Array:
  scale = 255 if images.dtype == jnp.uint8 else 1
  return images.astype(jnp.float32) / scale


def open_reader(dataset: datasets.Dataset, config: Any, *, steps: int, seed: int = 0,
                tell: Callable[[str], None] = print) -> Reader:
  """The reader of a dataset and its splits: from the data directory, or trained and put there.

  Args:
    dataset: of a full grid. config: its `config.dataset`.
    steps: gradient steps of `BATCH` images. seed: of weights and draws.
    tell: is called with lines on the progress.

  Raises:
    UserError: no image in the training split; the data directory can't be written.
  """
  about = _about(dataset, config, steps, seed)
  model = FactorReader(dataset.space.sizes)
  key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]
  path = datasets.data_directory(config.data_dir) / 'oracles' / f'{dataset.name}-{key}.safetensors'
  if path.exists():
    try:
      return _load(path, model, about)
    except ValueError as error:
      tell(f'oracle: {path} {error}, so it is trained again')
  start = time.monotonic()
  inside = splits.members(dataset.images, config, 'train')
  params = train(model, dataset.images, inside, steps=steps, seed=seed, tell=tell)
  reader = Reader(model, params, about, time.monotonic() - start)
  _save(path, reader)
  return reader


def train(model: FactorReader, images: Images, inside: Callable[[np.ndarray], np.ndarray], *,
          steps: int, seed: int = 0, tell: Callable[[str], None] = print) -> Any:
  """Parameters after training on random images: cross-entropy, summed over the factors.

  A random part of each image is its own blur of 3x3 pixels: decoders leave soft edges, and the
  reader shall read those as it reads sharp ones.

  Args:
    images: of a full grid. inside: which of them may be seen, [...] int -> bool.
    steps: gradient steps. seed: of weights and draws. tell: is called with lines on the progress.

  Raises:
    UserError: no image inside.
  """
  schedule = optax.warmup_cosine_decay_schedule(0., _RATE, min(50, steps // 4), steps)
  optimizer = optax.adam(schedule, b2=.99)
  key = jax.random.key(seed)
  params = jax.jit(model.init)(key, jnp.zeros((1, *images.image_shape)))
  state = optimizer.init(params)

  @jax.jit
  def step(params, state, number, pixels, factors):
    share = jax.random.uniform(jax.random.fold_in(key, number), (len(pixels), 1, 1, 1))
    sharp = _to_float(pixels)
    padded = jnp.pad(sharp, ((0, 0), (1, 1), (1, 1), (0, 0)), mode='edge')
    blurred = nn.avg_pool(padded, (3, 3))

    def loss(params):
      heads = model.apply(params, sharp + share * (blurred - sharp))
      return sum(optax.softmax_cross_entropy_with_integer_labels(head, factors[:, f]).mean()
                 for f, head in enumerate(heads))
    value, gradient = jax.value_and_grad(loss)(params)
    updates, state = optimizer.update(gradient, state, params)
    return optax.apply_updates(params, updates), state, value

  start, value = time.monotonic(), None
  batches = _batches(images, inside, seed)
  for number in range(steps):
    index = next(batches)
    params, state, value = step(params, state, number, images.read(index), images.factors(index))
    if number and number % max(steps // 10, 1) == 0:
      left = (time.monotonic() - start) * (steps / number - 1)
      tell(f'oracle: step {number:,} of {steps:,}, loss {float(value):.2f}, {left:.0f} s left')
  return params


def _batches(images: Images, inside: Callable[[np.ndarray], np.ndarray], seed: int
             ) -> Iterator[np.ndarray]:
  """Endless indices [BATCH] of random images inside."""
  rng = np.random.default_rng(seed)
  found = np.zeros(0, np.int64)
  while True:
    for _ in range(1000):
      if len(found) >= BATCH:
        break
      drawn = rng.integers(0, images.num_images, 8 * BATCH)
      found = np.concatenate([found, drawn[inside(drawn)]])
    else:
      raise UserError('dataset.splits leaves next to no image for training; the oracle needs some.')
    yield found[:BATCH]
    found = found[BATCH:]


def _about(dataset: datasets.Dataset, config: Any, steps: int, seed: int) -> dict:
  """What a reader depends on; some images stand for all of them."""
  images = dataset.images
  some = images.read(np.linspace(0, images.num_images - 1, 64).astype(np.int64))
  fields = {name: value for name, value in config.items() if name not in _UNREAD}
  about = {'version': VERSION, 'dataset': fields, 'factors': dict(zip(
      dataset.space.names, dataset.space.sizes)), 'image_shape': images.image_shape,
           'images': hashlib.sha256(some.tobytes()).hexdigest(), 'steps': steps, 'seed': seed}
  return json.loads(json.dumps(about))                 # as it is read back


def _save(path: pathlib.Path, reader: Reader) -> None:
  arrays = weights.flatten(reader.params)
  metadata = {'about': json.dumps(reader.about), 'seconds': str(reader.seconds),
              'digest': _digest(arrays)}
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_bytes(path, safetensors.numpy.save(arrays, metadata))
  except OSError as error:
    raise UserError(f'{path} cannot be written: {error.strerror}.\n'
                    'Set --config.dataset.data_dir to a directory that can.') from error


def _load(path: pathlib.Path, model: FactorReader, about: dict) -> Reader:
  """What `_save` wrote. Raises ValueError, saying what is wrong with the file."""
  try:
    with safetensors.safe_open(path, framework='numpy') as file:
      metadata, arrays = file.metadata() or {}, {
          name: file.get_tensor(name) for name in file.keys()}
  except (OSError, safetensors.SafetensorError) as error:
    raise ValueError(f'is damaged ({error})') from error
  if not {'about', 'seconds', 'digest'} <= metadata.keys() \
      or metadata['digest'] != _digest(arrays):
    raise ValueError('is damaged')
  if json.loads(metadata['about']) != about:
    raise ValueError('belongs to other data')
  return Reader(model, jax.device_put(weights.unflatten(arrays)), about,
                float(metadata['seconds']))


def _digest(arrays: dict[str, np.ndarray]) -> str:
  total = hashlib.sha256()
  for name in sorted(arrays):
    total.update(f'{name} {arrays[name].shape} {arrays[name].dtype}'.encode())
    total.update(arrays[name].tobytes())
  return total.hexdigest()
