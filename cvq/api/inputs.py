"""What a user hands to a model, checked and brought into one form. Imports NumPy alone."""

from __future__ import annotations

import inspect
from typing import Any, Sequence
import warnings

import numpy as np

from cvq.errors import UserError


def as_images(images: Any, shape: tuple[int, int, int], what: str = 'images'
              ) -> tuple[np.ndarray, bool]:
  """Images in any of the usual forms.

  Args:
    images: a NumPy or JAX array [n, H, W, C], [H, W, C], or without the last axis where C is 1;
      a PIL image; or a list of any of them (n may be 0). uint8 in 0 .. 255, floating in [0, 1],
      or bool.
    shape: (H, W, C) that the model takes. what: what messages call them.

  Returns:
    float32 [n, H, W, C] in [0, 1], and whether a single image without a batch axis was given.

  Raises:
    UserError: a wrong type, size, number of channels or range; NaN.
  """
  if isinstance(images, (list, tuple)):
    if not images:
      return np.zeros((0, *shape), np.float32), False
    parts = [as_images(image, shape, f'{what}[{i}]') for i, image in enumerate(images)]
    if not all(single for _, single in parts):
      raise UserError(f'{what} is a list of batches; give one array, or a list of single images.')
    return np.concatenate([image for image, _ in parts]), False
  array = _pixels(images, what)
  batch, single = _with_batch(array, shape, what)
  if batch.dtype == bool:
    return batch.astype(np.float32), single
  if batch.dtype == np.uint8:
    if batch.size and batch.max() == 1:
      warnings.warn(f'{what} is uint8 and holds nothing above 1, of 255: almost black. For a '
                    'binary image give bool.', stacklevel=_callers_level())
    return batch.astype(np.float32) / np.float32(255), single
  return _unit_range(batch, what), single


def as_codes(codes: Any, variables: int, limit: int) -> tuple[np.ndarray, bool]:
  """Codes of a model, [n, V] or [V] int, each in 0 .. N - 1.

  Args:
    codes: array. variables: V. limit: N.

  Returns:
    int32 [n, V], and whether there was no batch axis.

  Raises:
    UserError: a wrong shape, type or range.
  """
  array = np.asarray(codes)
  if array.ndim not in (1, 2) or array.shape[-1] != variables:
    raise UserError(f'codes has shape {array.shape}; expected [n, {variables}], a code for each of '
                    f'the {variables} variables.')
  if array.dtype.kind not in 'iu':
    raise UserError(f'codes is {array.dtype}; expected whole numbers, 0 to {limit - 1}.')
  if array.size and (array.min() < 0 or array.max() >= limit):
    raise UserError(f'codes reaches from {array.min()} to {array.max()}; expected 0 to '
                    f'{limit - 1}.')
  return np.atleast_2d(array).astype(np.int32), array.ndim == 1


def as_actions(actions: Any, names: Sequence[str]) -> tuple[np.ndarray, bool]:
  """Actions by name or number, one or several.

  Args:
    actions: a name, an index in 0 .. A - 1, or a sequence of them. names: A of them.

  Returns:
    int32 [m], and whether a single one was given.

  Raises:
    UserError: an unknown name, an index out of range.
  """
  single = isinstance(actions, str) or np.ndim(actions) == 0
  found = [_action(action, names) for action in ([actions] if single else actions)]
  return np.asarray(found, np.int32), single


def _action(action: Any, names: Sequence[str]) -> int:
  if isinstance(action, str):
    if action not in names:
      raise UserError(f'Unknown action {action!r}; known: {", ".join(names)}.')
    return list(names).index(action)
  number = np.asarray(action)
  if number.ndim or number.dtype.kind not in 'iu' or not 0 <= number < len(names):
    raise UserError(f'Action {action!r} is neither a name nor a number from 0 to '
                    f'{len(names) - 1}; names: {", ".join(names)}.')
  return int(number)


def _pixels(images: Any, what: str) -> np.ndarray:
  if getattr(images, 'mode', None) == 'P':       # PIL would give the numbers of a palette
    images = images.convert('RGB')
  array = np.asarray(images)
  if array.dtype != bool and array.dtype != np.uint8 and array.dtype.kind != 'f' \
      and array.dtype.name != 'bfloat16':
    raise UserError(f'{what} is {array.dtype}; expected uint8 from 0 to 255, floating numbers in '
                    '[0, 1], or a PIL image.')
  return array


def _with_batch(array: np.ndarray, shape: tuple[int, int, int], what: str
                ) -> tuple[np.ndarray, bool]:
  if array.shape == shape:
    return array[None], True
  if array.ndim == 4 and array.shape[1:] == shape:
    return array, False
  if shape[-1] == 1 and array.shape == shape[:2]:
    return array[None, ..., None], True
  if shape[-1] == 1 and array.ndim == 3 and array.shape[1:] == shape[:2]:
    return array[..., None], False
  height, width, channels = shape
  raise UserError(f'{what} has shape {array.shape}; expected [n, {height}, {width}, {channels}] or '
                  f'one image [{height}, {width}, {channels}]: {height} by {width} pixels, '
                  f'{channels} channel{"s" * (channels > 1)} last.')


def _callers_level() -> int:
  """Level, for a warning of who calls this, of the line from which this package was called."""
  level, frame = 0, inspect.currentframe()
  while frame.f_back and frame.f_globals.get('__name__', '').partition('.')[0] == 'cvq':
    level, frame = level + 1, frame.f_back
  return level


def _unit_range(array: np.ndarray, what: str) -> np.ndarray:
  array = array.astype(np.float32)
  if not np.isfinite(array).all():
    raise UserError(f'{what} holds NaN or infinity; expected numbers in [0, 1].')
  if array.size and (array.min() < 0 or array.max() > 1):
    raise UserError(f'{what} reaches from {array.min():.4g} to {array.max():.4g}; expected '
                    'floating numbers in [0, 1], or uint8 from 0 to 255.')
  return array
