"""What a trained model computes, as pure functions of its variables: the API jits and exports them.

Every function takes `variables` (collections 'params' and 'codebook' of `cvq.models.ct_vae`) and
arrays with a leading batch axis, and returns a dict of arrays with the same one. The model is
static. Nothing is sampled.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from cvq.models import global_level as whole, prediction as pred, quantizer as vq
from cvq.models.ct_vae import CTVAE
from cvq.models.prediction import Prediction
from cvq.models.quantizer import Quantized


def encode(variables: Any, images: jax.Array, *, model: CTVAE) -> dict:
  """images: [B, H, W, C] in [0, 1] -> codes [B, V] int32."""
  return {'codes': _encode(variables, images, model).codes}


def represent(variables: Any, images: jax.Array, *, model: CTVAE) -> dict:
  """images: [B, H, W, C] -> codes [B, V], embeddings [B, V, d] of them, latents [B, V, d]."""
  q = _encode(variables, images, model)
  return {'codes': q.codes, 'embeddings': vq.look_up(q.codes, q.codebook), 'latents': q.latents}


def global_level(variables: Any, images: jax.Array, *, model: CTVAE) -> dict:
  """images: [B, H, W, C] in [0, 1] -> codes [B, G] int32 of the whole image, coordinates [B, G].

  A coordinate is 0 at the middle code and grows by 1 from code to code.
  """
  found = model.apply(variables, _encode(variables, images, model), method=model.coordinates)
  steps = whole.in_steps(found.values, found.offset, found.spacing)
  return {'codes': found.codes, 'coordinates': steps}


def compare(variables: Any, images: jax.Array, targets: jax.Array, *, model: CTVAE) -> dict:
  """What leads from images to targets, [B, H, W, C] each: where a plan begins and ends.

  Returns:
    codes, targets [B, V] int32; gap [B, G] float32, how many steps of each global variable lead
    there: NaN of a variable that no step moves, which cannot tell, and G = 0 where the model has no
    global level.
  """
  ends = [_encode(variables, part, model) for part in (images, targets)]
  found = {'codes': ends[0].codes, 'targets': ends[1].codes}
  if model.global_level is None:
    return found | {'gap': jnp.zeros((images.shape[0], 0))}
  x, y = (model.apply(variables, end, method=model.coordinates) for end in ends)
  moves = x.spacing > whole.LEAST_SPACING
  return found | {'gap': jnp.where(moves, y.codes - x.codes, jnp.nan)}


def decode(variables: Any, codes: jax.Array, *, model: CTVAE) -> dict:
  """codes: [B, V] int -> images [B, H, W, C] in [0, 1]."""
  return {'images': to_images(variables, from_codes(variables, codes, model).vectors, model)}


def intervene(variables: Any, images: jax.Array, actions: jax.Array, *, model: CTVAE) -> dict:
  """What images become under an action each.

  Args:
    images: [B, H, W, C] in [0, 1]. actions: [B] int.

  Returns:
    images [B, H, W, C], decoded from the expected code vectors; codes [B, V], the likeliest of
    each variable; mask [B, V], how far the action intervenes on each; graph [B, S, S], the
    weights of the edges in use, row = child, column = parent.
  """
  quantized = _encode(variables, images, model)
  prediction = predict(variables, quantized, actions[:, None], model)
  expected = pred.expected_vectors(
      prediction, quantized.codes, quantized.vectors, quantized.codebook)
  likeliest = pred.probabilities(prediction, quantized.codes).argmax(-1).astype(jnp.int32)
  return {'images': to_images(variables, expected[:, 0], model), 'codes': likeliest[:, 0],
          'mask': prediction.mask[:, 0], 'graph': prediction.graph[:, 0]}


def retrieve(variables: Any, images: jax.Array, targets: jax.Array, *, model: CTVAE) -> dict:
  """images, targets: [B, H, W, C] -> probabilities [B, A] that an action led from one to other."""
  x, y = _encode(variables, images, model), _encode(variables, targets, model)
  logits = model.apply(variables, x, y, method=model.posterior_logits)
  return {'probabilities': jax.nn.softmax(logits)}


def from_codes(variables: Any, codes: jax.Array, model: CTVAE) -> Quantized:
  """codes: [B, V] int -> the batch as if just quantized to them."""
  codebook = model.apply(variables, method=lambda m: m.quantizer.codebook())
  vectors = vq.look_up(codes, codebook)
  return Quantized(codes, vectors, vectors, codebook)


def predict(variables: Any, quantized: Quantized, actions: jax.Array, model: CTVAE) -> Prediction:
  """The codes that M actions each lead to, by its likeliest alternative. actions: [B, M] int."""
  return model.apply(variables, quantized, actions, method=model.imagine)


def _encode(variables: Any, images: jax.Array, model: CTVAE) -> Quantized:
  return model.apply(variables, images, method=model.encode)


def to_images(variables: Any, vectors: jax.Array, model: CTVAE) -> jax.Array:
  return model.apply(variables, vectors, method=model.to_images)
