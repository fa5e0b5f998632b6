"""The pure steps: what happens on one device, written so that any wrapper can run it.

`axis_name` is the name of the axis over which devices meet (pmap or vmap), or None alone.
`cvq.parallel` wraps them; nothing here knows which wrapper it is.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from cvq import codebooks, objectives, products
from cvq.evaluation import codes, image_quality
from cvq.models import causal_graph, global_level, prediction as pred, quantizer as vq
from cvq.models.ct_vae import CTVAE
from cvq.state import TrainState


def _mean(tree: Any, axis_name: str | None) -> Any:
  return tree if axis_name is None else jax.lax.pmean(tree, axis_name)


def _sum(tree: Any, axis_name: str | None) -> Any:
  return tree if axis_name is None else jax.lax.psum(tree, axis_name)


def _keys(seed: int, step: jax.Array, axis_name: str | None) -> tuple[jax.Array, jax.Array]:
  """A key that all devices share, and one of this device's own."""
  shared = jax.random.fold_in(jax.random.key(seed), step)
  index = 0 if axis_name is None else jax.lax.axis_index(axis_name)
  return shared, jax.random.fold_in(shared, index + 1)


# What learns in the paper's second stage, and in the last one of ours.
_LEARNS = {'transition': ('transition', 'log_temperature'), 'global_level': ('global_level',)}


def _learns(name: str, trainable: str) -> bool:
  """Whether a part of the parameters learns; the global level does in its own stage alone."""
  return name != 'global_level' if trainable == 'all' else name in _LEARNS[trainable]


def _freeze(params: Any, trainable: str) -> Any:
  """Cuts the gradient of everything that does not learn."""
  return {name: sub if _learns(name, trainable) else jax.lax.stop_gradient(sub)
          for name, sub in params.items()}


def halt(updates: Any, trainable: str) -> Any:
  """No step for what does not learn, which momentum would go on moving."""
  return {name: sub if _learns(name, trainable) else jax.tree.map(jnp.zeros_like, sub)
          for name, sub in updates.items()}


def train_step(state: TrainState, batch: dict, *, model: CTVAE,
               optimizer: optax.GradientTransformation, config: Any, mode: str,
               axis_name: str | None = None) -> tuple[TrainState, dict]:
  """One gradient step on one batch in one mode.

  Args:
    state: the same on all devices.
    batch: this device's share: x uint8 [B, H, W, C], y uint8 [B, T, H, W, C], action [B, T].
    model, optimizer, config, mode: static; see `cvq.objectives.MODES`.

  Returns:
    The next state, and scalars for the log: `loss`, every unweighted term, figures, all averaged
    over devices.
  """
  trainable = {'reconstruction': 'all', 'global': 'global_level'}.get(mode, config.train.trainable)
  shared_key, own_key = _keys(config.seed, state.step, axis_name)

  def loss_of(params):
    return objectives.objective(
        _freeze(params, trainable), state.stats, batch, own_key, model=model, config=config,
        mode=mode, axis_name=axis_name)

  value_and_grad = jax.value_and_grad(loss_of, has_aux=True)
  if config.train.products == 'bfloat16':
    value_and_grad = products.rounded(value_and_grad)
  (loss, aux), grads = value_and_grad(state.params)
  grads = _mean(grads, axis_name)
  scalars = _mean({'loss': loss, **aux['terms'], **aux['figures']}, axis_name)
  scalars['gradient_norm'] = optax.tree.norm(grads)
  updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
  updates = halt(updates, trainable)
  state = TrainState(
      state.step + 1, optax.apply_updates(state.params, updates), state.stats, opt_state)
  if trainable == 'all':
    state = _care_for_codebooks(shared_key, state, aux['quantized'], batch['x'].shape[0], model,
                                config, axis_name)
  return state, scalars


def _care_for_codebooks(key: jax.Array, state: TrainState, quantized: vq.Quantized, size: int,
                        model: CTVAE, config: Any, axis_name: str | None) -> TrainState:
  """Counts use, moves EMA codes, revives dead ones; the same on every device.

  The first `size` images are x, the others y; each kind is gathered on its own, so that the order
  of all latents does not depend on the number of devices.
  """
  q = config.model.quantizer
  latents = jax.lax.stop_gradient(quantized.latents)
  counts, sums = _sum(vq.assignments(quantized.codes, latents, quantized.codebook), axis_name)
  stats = dict(state.stats, usage=state.stats['usage'] + counts)
  if q.learning == 'ema':
    stats = codebooks.ema(stats, counts, sums, q.decay)
  state = state.replace(stats=stats)
  if not q.revive_every:
    return state
  due = (state.step % q.revive_every == 0) & (
      state.step < q.revive_until * (config.pretrain.steps + config.train.steps))

  def revived(state):
    parts = (latents[:size], latents[size:])
    every = jnp.concatenate([codebooks.gather(part, axis_name) for part in parts])
    return revive(key, state, every, model)

  return jax.lax.cond(due, revived, lambda state: state, state)


def revive(key: jax.Array, state: TrainState, latents: jax.Array, model: CTVAE) -> TrainState:
  """Replaces unused codes and forgets their optimizer or EMA state. latents: [B, V, d]."""
  stats, usage = state.stats, state.stats['usage']
  gradient = model.quantizer.learning == 'gradient'
  table = state.params['quantizer']['codebook'] if gradient else stats['code']
  table = vq.normalise(table) if model.quantizer.unit else table
  table, dead = codebooks.revive(key, latents, table, usage)
  return _with_codebook(state, table, dead, gradient)


def initialise_codebook(state: TrainState, batch: dict, *, model: CTVAE, config: Any,
                        axis_name: str | None = None) -> TrainState:
  """First codes by k-means on the latents of the first batch of all devices."""
  shared_key, _ = _keys(config.seed, state.step, axis_name)
  images = objectives.to_float(batch['x'])
  latents = model.apply(state.variables, images, method=model.encode).latents
  q = model.quantizer
  table = codebooks.k_means(
      shared_key, codebooks.gather(latents, axis_name), (q.codebooks, q.codes, q.dim),
      unit=q.unit)
  return _with_codebook(
      state, table, jnp.ones((q.codebooks, q.codes), bool), q.learning == 'gradient')


def fit_lattice(state: TrainState, batch: dict, *, model: CTVAE, axis_name: str | None = None
                ) -> TrainState:
  """Places the codes of the global level, by a batch of all devices. See `global_level`.

  Args:
    batch: x uint8 [B, H, W, C], y uint8 [B, T, H, W, C], action int [B, T].
  """
  def coordinates(images):                                                   # [1 + T, H, W, C]
    quantized = model.apply(state.variables, objectives.to_float(images), method=model.encode)
    return model.apply(state.variables, quantized, method=model.coordinates).values

  images = jnp.concatenate([batch['x'][:, None], batch['y']], axis=1)
  values = jax.lax.map(coordinates, images)                                  # [B, 1 + T, G]
  values, actions = (codebooks.gather(a, axis_name) for a in (values, batch['action']))
  offset, spacing = global_level.fit_lattice(
      values[:, 0], values[:, 1:], global_level.shifts(actions, values.shape[-1]))
  level = state.params['global_level'] | {'offset': offset, 'spacing': spacing}
  return state.replace(params=state.params | {'global_level': level})


def _with_codebook(state: TrainState, table: jax.Array, changed: jax.Array, gradient: bool
                   ) -> TrainState:
  stats = dict(state.stats, usage=jnp.zeros_like(state.stats['usage']))
  if not gradient:
    stats |= {'code': table, 'count': jnp.where(changed, 1., stats['count'])}
    return state.replace(stats=stats)
  params = dict(state.params, quantizer={'codebook': table})
  return state.replace(
      params=params, stats=stats, opt_state=codebooks.reset_rows(state.opt_state, changed))


def eval_step(state: TrainState, batch: dict, *, model: CTVAE) -> dict:
  """Everything the evaluation counts, for each example of one device's share of a batch.

  Args:
    batch: x uint8 [B, H, W, C], y uint8 [B, 1, H, W, C], action int [B, 1].

  Returns:
    Arrays that start with B: `posterior` [B, A]; `mask_size`, `changed`, `changed_positions`,
    `mask_hits`, `parents` (of a node) [B]; image figures [B] named part_figure, for the parts
    `intervention` (predicted vectors), `codes` (most probable codes), `copy`, `reconstruction` and
    figures mse, psnr, ssim; and `counts` [B, K, N], the use of codes in x and y; of a global level,
    `global_changed` [B], `global_moved` and `global_stayed` [B] bool (the variable of the action
    moved by its step; no other moved). Padding is the caller's to leave out.
  """
  apply = lambda method, *args, **kwargs: model.apply(
      state.variables, *args, method=method, **kwargs)
  x, y = objectives.to_float(batch['x']), objectives.to_float(batch['y'][:, 0])
  action = batch['action']
  from_x, from_y = apply(model.encode, x), apply(model.encode, y)
  b = x.shape[0]
  prediction = apply(model.imagine, from_x, model.every_action(b))
  posterior = jax.nn.softmax(apply(model.posterior_logits, from_x, from_y))

  of_true = lambda a: jnp.take_along_axis(
      a, action.reshape(b, 1, *(1,) * (a.ndim - 2)), axis=1)[:, 0]
  expected = of_true(pred.expected_vectors(
      prediction, from_x.codes, from_x.vectors, from_x.codebook))
  likeliest = of_true(pred.probabilities(prediction, from_x.codes)).argmax(-1)
  outputs = {
      'intervention': apply(model.to_images, expected),
      'codes': apply(model.to_images, vq.look_up(likeliest, from_x.codebook)),
      'copy': x,
      'reconstruction': apply(model.to_images, from_y.vectors)}
  result = {f'{part}_{figure}': function(image, y)
            for part, image in outputs.items()
            for figure, function in image_quality.FIGURES.items()}
  q = model.quantizer
  both = jnp.concatenate([from_x.codes, from_y.codes], axis=-1).reshape(b, 2, q.codebooks, -1)
  both = both.swapaxes(1, 2).reshape(b, -1)                                  # [B, K * 2 * H*W]
  changed, positions = codes.changed(from_x.codes, from_y.codes, q.codebooks)
  mask = of_true(prediction.mask) > .5
  if model.global_level is not None:
    of_x, of_y = (apply(model.coordinates, part).codes for part in (from_x, from_y))
    result |= _global_figures(of_x, of_y, action[:, 0])
  return result | {
      'posterior': posterior, 'counts': codes.count(both, q.codebooks, q.codes),
      'changed': changed, 'changed_positions': positions, 'mask_size': mask.sum(-1),
      'mask_hits': (mask & (from_x.codes != from_y.codes)).sum(-1),
      'parents': causal_graph.parents(prediction.edge_logits)}


def _global_figures(x: jax.Array, y: jax.Array, action: jax.Array) -> dict:
  """x, y: [B, G] codes of the global level. action: [B]."""
  shifts = global_level.shifts(action, x.shape[-1])
  right = y - x == shifts
  return {'global_changed': (x != y).sum(-1), 'global_moved': (right & (shifts != 0)).any(-1),
          'global_stayed': (right | (shifts != 0)).all(-1)}


def imagine_step(state: TrainState, x: jax.Array, *, model: CTVAE) -> dict:
  """What the model makes of images under every action, for pictures.

  Args:
    x: uint8 [B, H, W, C].

  Returns:
    reconstruction [B, H, W, C], prediction [B, A, H, W, C] (both in [0, 1]), mask [B, A, V],
    changed [B, A, V] bool (the likeliest code is not that of x), graph [B, A, S, S].
  """
  apply = lambda method, *args, **kwargs: model.apply(
      state.variables, *args, method=method, **kwargs)
  quantized = apply(model.encode, objectives.to_float(x))
  b, a = x.shape[0], model.transition.num_actions
  prediction = apply(model.imagine, quantized, model.every_action(b))
  expected = pred.expected_vectors(
      prediction, quantized.codes, quantized.vectors, quantized.codebook)
  images = apply(model.to_images, expected.reshape(b * a, *expected.shape[2:]))
  return {
      'reconstruction': apply(model.to_images, quantized.vectors),
      'prediction': images.reshape(b, a, *images.shape[1:]),
      'mask': prediction.mask, 'graph': prediction.graph,
      'changed': pred.probabilities(prediction, quantized.codes).argmax(-1)
                 != quantized.codes[:, None]}
