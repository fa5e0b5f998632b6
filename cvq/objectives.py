"""The objective of each mode: which terms of `cvq.losses` a batch contributes.

Modes: 'reconstruction' (no transition layer), 'base', 'action', 'causal' (one each, as the paper
trains), 'mixed' (all of them on every batch, sharing one pass through the encoder), 'single' (the
same before alternatives of an action part), and 'global' (the global level alone).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from cvq import losses
from cvq.models import global_level, prediction as pred, quantizer as vq
from cvq.models.ct_vae import CTVAE
from cvq.models.quantizer import Quantized

MODES = ('reconstruction', 'base', 'action', 'causal', 'mixed', 'single', 'global')


def to_float(images: jax.Array) -> jax.Array:
  """uint8 0..255 -> float32 in [0, 1]."""
  return images.astype(jnp.float32) / 255.


def slice_batch(quantized: Quantized, start: int, stop: int) -> Quantized:
  """The part [start:stop] of a quantized batch."""
  return quantized.replace(
      codes=quantized.codes[start:stop], vectors=quantized.vectors[start:stop],
      latents=quantized.latents[start:stop])


def objective(params: Any, stats: Any, batch: dict, key: jax.Array, *, model: CTVAE, config: Any,
              mode: str, axis_name: str | None = None) -> tuple[jax.Array, dict]:
  """Loss of one batch and everything the step needs besides its gradient.

  Args:
    params, stats: of the model.
    batch: x uint8 [B, H, W, C], y uint8 [B, T, H, W, C], action int [B, T].
    key: for Gumbel samples and noise.
    model, config, mode: static. axis_name: over which devices meet, if they do.

  Returns:
    loss [], and a dict of `terms` (unweighted, by name), `figures` (of interest), `quantized`
    (x and the targets that are drawn, for the care of the codebooks).
  """
  variables = {'params': params, 'codebook': {'quantizer': stats}}
  apply = lambda method, *args, **kwargs: model.apply(
      variables, *args, method=method, rngs={'sample': key}, **kwargs)
  single, mode = mode == 'single', 'mixed' if mode == 'single' else mode
  x = to_float(batch['x'])
  b = x.shape[0]
  images, drawn = x, 0
  if mode != 'base':
    y = to_float(batch['y'])                                                 # [B, T, H, W, C]
    drawn = y.shape[1] if mode in ('reconstruction', 'global') else config.train.drawn
    images = jnp.concatenate([x, _flat(y[:, :drawn])])
  quantized = apply(model.encode, images)
  terms, figures = {}, {}

  if mode == 'reconstruction' or mode != 'global' and config.train.trainable == 'all':
    k = model.quantizer.codebooks
    chosen = vq.look_up(quantized.codes, quantized.codebook)
    terms['codebook'] = losses.codebook(quantized.latents, chosen, k)
    terms['commitment'] = losses.commitment(quantized.latents, chosen, k)
    if config.loss.code_entropy:
      terms['code_entropy'] = losses.code_entropy(
          quantized.latents, quantized.codebook, axis_name)
    outputs = apply(model.decode, quantized.vectors)
    terms['reconstruction'] = losses.reconstruction(outputs, images, model.likelihood)

  from_x = slice_batch(quantized, 0, b)
  if mode == 'global':
    more, figures = _global_terms(apply, model, quantized, batch['action'])
    terms |= more
  if mode in ('base', 'mixed'):
    terms |= _base_terms(apply, model, from_x)
  if mode in ('action', 'causal', 'mixed'):
    y_codes = quantized.codes[b:].reshape(b, -1, from_x.codes.shape[-1])
    if y.shape[1] > drawn:            # whole numbers: no gradient, so the encoder runs forward only
      others = apply(model.encode, _flat(y[:, drawn:])).codes
      y_codes = jnp.concatenate([y_codes, others.reshape(b, -1, y_codes.shape[-1])], axis=1)
    more, figures = _transition_terms(
        apply, model, config, mode, single, from_x, y_codes, y, batch['action'])
    terms |= more

  loss = sum(config.loss[name] * value for name, value in terms.items())
  return loss, {'terms': terms, 'figures': figures, 'quantized': quantized}


def _flat(y: jax.Array) -> jax.Array:
  """[B, T, H, W, C] -> [B*T, H, W, C]."""
  return y.reshape(-1, *y.shape[2:])


def _base_terms(apply, model: CTVAE, from_x: Quantized) -> dict:
  """Without intervention nothing changes: codes of x from x, a graph near the identity."""
  codes = from_x.codes[:, None]
  observed = apply(model.observe, from_x, train=True)
  if observed is None:
    return {}
  kept = apply(model.observe, from_x, train=True, identity=True)
  return {
      'base_nll': losses.negative_log_likelihood(
          pred.log_probability(observed, from_x.codes, codes)),
      'base_identity_nll': losses.negative_log_likelihood(
          pred.log_probability(kept, from_x.codes, codes)),
      'base_graph': losses.graph_identity(observed.graph)}


def _global_terms(apply, model: CTVAE, quantized: Quantized, actions: jax.Array
                  ) -> tuple[dict, dict]:
  """Every action moves its own variable by one step, and no other. actions: [B, T]."""
  b, t = actions.shape
  found = apply(model.coordinates, quantized)
  shifts = global_level.shifts(actions, found.values.shape[-1])
  y = found.values[b:].reshape(b, t, -1)
  spacing = jnp.maximum(found.spacing, global_level.LEAST_SPACING)
  own, others = losses.global_steps(found.values[:b], y, shifts)
  codes = found.codes[:b, None] + shifts.astype(jnp.int32)
  right = (found.codes[b:].reshape(b, t, -1) == codes).all(-1).mean(dtype=jnp.float32)
  return ({'global_own': own, 'global_others': others,
           'global_spacing': losses.global_spacing(found.values[:b], y, shifts, found.spacing),
           'global_offset': losses.global_offset(found.values, found.offset, spacing)},
          {'global_exact': right})


def _transition_terms(apply, model: CTVAE, config: Any, mode: str, single: bool,
                      from_x: Quantized, y_codes: jax.Array, y: jax.Array, actions: jax.Array
                      ) -> tuple[dict, dict]:
  """Action mode needs the true action only, causal mode all of them; both score codes of y.

  y_codes: [B, T, V]. y: [B, T, H, W, C].
  """
  b, t = actions.shape
  hypotheses = actions if mode == 'action' else model.every_action(b)
  prediction = apply(model.predict, from_x, hypotheses, train=True, single=single)
  log_prob = pred.log_probability(prediction, from_x.codes, y_codes)         # [B, T, M, V]
  true = jnp.broadcast_to(jnp.arange(t), (b, t)) if mode == 'action' else actions
  temperature = apply(model.temperature)
  of_true, true = _likelihood(log_prob, true, temperature, prediction.weights)
  terms, figures = {}, {}
  if mode in ('action', 'mixed'):
    terms['action_nll'] = -of_true.mean()
    terms['edge_kl'] = losses.edge_kl(prediction.edge_logits, config.loss.edge_prior)
    terms['graph_size'] = losses.graph_size(jax.nn.sigmoid(prediction.edge_logits))
    terms['no_parent'] = losses.no_parent(prediction.edge_logits)
    mask = jnp.take_along_axis(prediction.mask, true[:, :, None], axis=1)    # [B, T, V]
    figures['mask_size'] = mask.sum(-1).mean()
    figures['changed'] = (y_codes != from_x.codes[:, None]).sum(-1).mean(dtype=jnp.float32)
    if config.loss.action_image:
      expected = pred.expected_vectors(
          prediction, from_x.codes, from_x.vectors, from_x.codebook)
      drawn = _whose_image(of_true, config.train)
      of_drawn = jnp.take_along_axis(true, drawn, axis=1)[..., None, None]
      expected = jnp.take_along_axis(expected, of_drawn, axis=1)
      outputs = apply(model.decode, expected.reshape(-1, *expected.shape[2:]))
      y = jnp.take_along_axis(y, drawn[..., None, None, None], axis=1)
      terms['action_image'] = losses.reconstruction(outputs, _flat(y), model.likelihood)
  if mode in ('causal', 'mixed'):
    logits = losses.posterior_logits(log_prob, temperature, prediction.weights)
    terms['retrieval'] = losses.retrieval(logits, actions)
    figures['retrieval_accuracy'] = (logits.argmax(-1) == actions).mean(dtype=jnp.float32)
  return terms, figures


def _likelihood(log_prob: jax.Array, true: jax.Array, temperature: jax.Array,
                weights: jax.Array | None) -> tuple[jax.Array, jax.Array]:
  """log p(y | x, a), and the hypothesis that y came from.

  With alternatives, that of a mixture of tempered likelihoods, as the posterior takes them: few
  of the variables are independent evidence on which alternative came true.

  Args:
    log_prob: [B, T, M, V], or [B, T, M * L, V]. true: [B, T] in 0 .. M - 1. temperature: [].
    weights: [B, M, L], or None.

  Returns:
    [B, T], and [B, T] in 0 .. M * L - 1.
  """
  if weights is None:
    of_true = jnp.take_along_axis(log_prob, true[:, :, None, None], axis=2)[:, :, 0]
    return of_true.sum(-1), true
  temperature = jax.lax.stop_gradient(temperature)
  scores = losses.alternative_scores(log_prob, temperature, weights)         # [B, T, M, L]
  scores = jnp.take_along_axis(scores, true[:, :, None, None], axis=2)[:, :, 0]
  of_true = temperature * jax.nn.logsumexp(scores, axis=-1)
  return of_true, true * weights.shape[-1] + scores.argmax(-1)


def _whose_image(of_true: jax.Array, train: Any) -> jax.Array:
  """The targets whose images are compared with predictions: [B, T] log p -> [B, D] in 0 .. T - 1.

  'worst': those predicted worst, by the likelihood of their codes, so what is hard to predict is
  drawn more often than its share of the transitions. Compare Shrivastava et al. 2016, section 4.
  """
  b, t = of_true.shape
  d = min(train.drawn, t)
  if train.predicted == 'first':
    return jnp.broadcast_to(jnp.arange(d), (b, d))
  return jax.lax.top_k(-jax.lax.stop_gradient(of_true), d)[1]
