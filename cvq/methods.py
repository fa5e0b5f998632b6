"""What the loop and the evaluation need of a method, and the methods there are.

Ours is `ct_vae`; the others are the baselines of configs/baselines/.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Callable

from cvq import inference, steps
from cvq.baselines import inverse, qlae, steps as baseline_steps, vae
from cvq.models import ct_vae


@dataclasses.dataclass(frozen=True)
class Method:
  """Pure functions of a state and a batch; what `functools.partial` binds is static.

  Attributes:
    build: (config, image_shape, num_actions) -> a Flax module whose __call__(images, actions)
      touches every parameter.
    train_step, eval_step, imagine_step: as in `cvq.steps`; the last two leave out what the
      method does not have.
    represent: (variables, images [B, H, W, C] in [0, 1], *, model) -> {'codes': [B, V] int32} or
      {'latents': [B, L] float32}; {} where the method does not represent single images.
    global_level: likewise, of the variables of the whole image where the model has that level.
  """
  build: Callable[[Any, tuple[int, int, int], int], Any]
  train_step: Callable = baseline_steps.train_step
  eval_step: Callable = baseline_steps.eval_step
  imagine_step: Callable = baseline_steps.imagine_step
  represent: Callable = baseline_steps.represent
  global_level: Callable | None = None


CT_VAE = Method(
    lambda config, shape, actions: ct_vae.build(config.model, shape, actions),
    steps.train_step, steps.eval_step, steps.imagine_step, inference.encode,
    inference.global_level)
METHODS = {
    'ct_vae': CT_VAE, 'inverse': Method(inverse.build), 'beta_vae': Method(vae.build),
    'ada_gvae': Method(vae.build), 'qlae': Method(qlae.build)}
