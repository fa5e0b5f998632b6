"""What the model says beyond one step: codes of many images, and interventions in a chain."""

from __future__ import annotations

import functools
from typing import Any, Callable

import jax
import jax.numpy as jnp
import numpy as np

from cvq import inference, objectives, steps
from cvq.models import prediction as pred, quantizer as vq
from cvq.models.ct_vae import CTVAE
from cvq.state import TrainState

FEEDS = ('vectors', 'codes')


def encode_step(state: TrainState, x: jax.Array, *, model: CTVAE, whole: bool) -> dict:
  """Images uint8 [B, H, W, C] -> {'codes': [B, V]}, or of the global level, [B, G]."""
  function = inference.global_level if whole else inference.encode
  return {'codes': function(state.variables, objectives.to_float(x), model=model)['codes']}


def chain_step(state: TrainState, x: jax.Array, actions: jax.Array, *, model: CTVAE, feed: str
               ) -> dict:
  """Interventions one after another, each on what the model imagined before.

  Args:
    x: uint8 [B, H, W, C]. actions: [B, k] int.
    feed: what the next step gets: the expected 'vectors', whose nearest codes count as its codes;
      or the likeliest 'codes', and their vectors.

  Returns:
    codes [B, k, V] and image [B, k, H, W, C] after each step; x_codes [B, V].
  """
  apply = lambda method, *args, **kwargs: model.apply(
      state.variables, *args, method=method, **kwargs)
  start = apply(model.encode, objectives.to_float(x))
  book = start.codebook

  def follow(carry, action):
    codes, vectors = carry
    here = vq.Quantized(codes, vectors, vectors, book)
    prediction = apply(model.imagine, here, action[:, None])
    if feed == 'vectors':
      vectors = pred.expected_vectors(prediction, codes, vectors, book)[:, 0]
      codes = vq.nearest_codes(vectors, book)
    else:
      codes = pred.probabilities(prediction, codes)[:, 0].argmax(-1).astype(codes.dtype)
      vectors = vq.look_up(codes, book)
    return (codes, vectors), (codes, apply(model.to_images, vectors))

  _, (codes, images) = jax.lax.scan(follow, (start.codes, start.vectors), actions.T)
  return {'codes': jnp.swapaxes(codes, 0, 1), 'image': jnp.swapaxes(images, 0, 1),
          'x_codes': start.codes}


class Imagination:
  """The steps above on one device, for any number of images.

  Args:
    model: static. state: of the model. batch_size: images at a time.
  """

  def __init__(self, model: CTVAE, state: TrainState, batch_size: int):
    self._state, self._batch_size = state, batch_size
    self._encode = jax.jit(functools.partial(encode_step, model=model), static_argnames='whole')
    self._chain = {feed: jax.jit(functools.partial(chain_step, model=model, feed=feed))
                   for feed in FEEDS}
    self._imagine = jax.jit(functools.partial(steps.imagine_step, model=model))

  def encode(self, images: Any, index: np.ndarray, *, state: TrainState | None = None,
             whole: bool = False) -> np.ndarray:
    """Codes [n, V] of images by index, or those of the global level, [n, G].

    Args:
      images, index: of a dataset. state: another one than the model's. whole: the global level.
    """
    step = functools.partial(self._encode, state or self._state, whole=whole)
    return self._in_batches(lambda i: step(images.read(i)), index)['codes']

  def chain(self, images: Any, index: np.ndarray, actions: np.ndarray, *, feed: str) -> dict:
    """`chain_step` from images by index, with actions [n, k]: NumPy [n, ...]."""
    step = functools.partial(self._chain[feed], self._state)
    return self._in_batches(lambda i, a: step(images.read(i), a), index, actions)

  def graphs(self, images: Any, index: np.ndarray) -> dict:
    """`cvq.steps.imagine_step` of images by index: graph [n, A, S, S], mask [n, A, V]."""
    step = functools.partial(self._imagine, self._state)
    keep = lambda out: {name: out[name] for name in ('graph', 'mask')}
    return self._in_batches(lambda i: keep(step(images.read(i))), index)

  def _in_batches(self, function: Callable, *arrays: np.ndarray) -> dict:
    """Batches of one size, the last one filled up with its first rows, which are cut again."""
    n, size = len(arrays[0]), min(self._batch_size, len(arrays[0]))
    parts = []
    for start in range(0, n, size):
      rows = np.resize(np.arange(start, min(start + size, n)), size)
      parts.append(jax.device_get(function(*(array[rows] for array in arrays))))
    return {name: np.concatenate([part[name] for part in parts])[:n] for name in parts[0]}
