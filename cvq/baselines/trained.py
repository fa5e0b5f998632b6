"""A trained baseline in the place of `cvq.api.model.Model`, for measurements of both."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cvq.api.results import Plan
from cvq.baselines import planning
from cvq.baselines.latent import Latent


@dataclasses.dataclass(frozen=True)
class Edited:
  """Attributes: images [n, H, W, C] float32 in [0, 1], after an intervention."""
  images: np.ndarray


class TrainedLatent:
  """Latents take the place of codes. Images are uint8 [n, H, W, C].

  Args:
    model, params: of a baseline. names: A, of the actions.

  Attributes:
    config: of its run.
  """

  def __init__(self, model: Latent, params: Any, config: Any, names: tuple[str, ...]):
    bind = lambda method: functools.partial(jax.jit(
        lambda params, *inputs: model.apply({'params': params}, *inputs, method=method)), params)
    self._embed, self._predict = bind(model.embed), bind(model.predict)
    self._draw, self._names, self.config = bind(model.to_images), names, config

  def encode(self, images: np.ndarray) -> np.ndarray:
    """images -> latents [n, L]."""
    return np.asarray(self._embed(np.float32(images) / 255))

  def decode(self, latents: np.ndarray) -> np.ndarray:
    """latents [n, L] -> images in [0, 1]."""
    return np.asarray(self._draw(latents))

  def intervene(self, images: np.ndarray, actions: np.ndarray) -> Edited:
    """images, and an action [n] int of each -> what the model expects of it."""
    led = self._predict(self.encode(images))
    return Edited(self.decode(jnp.take_along_axis(led, actions[:, None, None], axis=1)[:, 0]))

  def plan(self, images: np.ndarray, targets: np.ndarray, *, max_steps: int, beam: int
           ) -> list[Plan]:
    """images, targets -> n plans of at most max_steps actions, by search over predicted latents."""
    plans, far = planning.search(
        self._predict, self.encode(images), self.encode(targets), max_steps, beam)
    no_codes = np.zeros((0, 0), np.int32)
    return [Plan(tuple(self._names[a] for a in actions), -float(distance), no_codes)
            for actions, distance in zip(plans, far)]
