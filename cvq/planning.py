"""Plans: a sequence of actions from one image to another, by beam search over the transitions.

A state is what the model expects after the actions so far, as codes: the expected vectors are
decoded to an image and encoded again, since codes predicted each on its own need not belong to any
image. A plan's score is the log-probability of the target after its last action: of its codes, by
which retrieval ranks single actions (and of the alternative, where an action has several), plus
that of its pixels, which tells better how near a state is that is still some actions away. A global
level says besides how many steps of each factor are left to go, but of those that it cannot hold;
every one costs a plan dear: without that level far fewer plans are right.

Two facts about actions spare most of the search: the order of a plan's actions matters little
(of those with the same actions only the best goes on), and an action undoes its opposite (no plan
holds both).
"""

from __future__ import annotations

import functools
from typing import Any, Callable

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from cvq import inference, losses
from cvq.api.interface import in_batches
from cvq.api.results import Plan
from cvq.models import prediction as pred
from cvq.models.ct_vae import CTVAE

COST = 1000.          # of a global step that is left to go, in nats


@flax.struct.dataclass
class Beam:
  """W partial plans for each of B pairs, best first.

  Attributes:
    codes: [B, W, V] int32, the states that they lead to.
    counts: [B, W, A] int32, how often each holds each action.
    score: [B, W], minus infinity where there is no plan.
    gap: [B, G] of `inference.compare`, from the first image to the target.
  """
  codes: jax.Array
  counts: jax.Array
  score: jax.Array
  gap: jax.Array


def start(codes: jax.Array, gap: jax.Array, width: int, num_actions: int) -> Beam:
  """The empty plan for each image. codes: [B, V] int. gap: [B, G] of `inference.compare`."""
  b = codes.shape[0]
  return Beam(jnp.repeat(codes[:, None], width, axis=1),
              jnp.zeros((b, width, num_actions), jnp.int32),
              jnp.where(jnp.arange(width) == 0, 0., jnp.full((b, 1), -jnp.inf)),
              jnp.asarray(gap))


def widen(variables: Any, beam: Beam, codes: jax.Array, images: jax.Array, *, model: CTVAE
          ) -> tuple[Beam, jax.Array, jax.Array]:
  """The best W plans that are one action longer.

  Args:
    beam: of B pairs. codes: [B, V] int and images: [B, H, W, C] of the targets.

  Returns:
    The next beam; the plan that each continues, [B, W] int in 0 .. W - 1; its new action, [B, W].
  """
  b, w, v = beam.codes.shape
  a = beam.counts.shape[-1]
  x = inference.from_codes(variables, beam.codes.reshape(b * w, v), model)
  prediction = model.apply(
      variables, x, model.every_action(b * w), train=False, method=model.predict)
  n = prediction.mask.shape[1]                           # A * L: every alternative
  l = n // a
  expected = pred.expected_vectors(prediction, x.codes, x.vectors, x.codebook)
  expected = expected.reshape(b, w * n, v, -1)
  of_codes = pred.log_probability(prediction, x.codes, jnp.repeat(codes, w, axis=0)[:, None])
  of_pixels = _log_likelihood(variables, expected, images, model)
  score = of_codes.sum(-1).reshape(b, w, n) + of_pixels.reshape(b, w, n)
  if prediction.weights is not None:
    score += prediction.weights.reshape(b, w, n)
  undone = jnp.repeat(jnp.roll(beam.counts, a // 2, axis=-1) > 0, l, axis=-1)
  score = jnp.where(jnp.isfinite(beam.score)[..., None] & ~undone, score, -jnp.inf)
  one = jnp.repeat(jnp.eye(a, dtype=jnp.int32), l, axis=0)
  counts = beam.counts[:, :, None] + one                                     # [B, W, N, A]
  score -= COST * _left(beam.gap, counts)
  score = distinct(score.reshape(b, w * n), counts.reshape(b, w * n, a))
  best, chosen = jax.lax.top_k(score, w)                                     # [B, W]

  reached = inference.to_images(
      variables, _choose(expected, chosen).reshape(b * w, v, -1), model)
  reached = inference.encode(variables, reached, model=model)['codes'].reshape(b, w, v)
  beam = Beam(reached, _choose(counts.reshape(b, w * n, a), chosen), best, beam.gap)
  return beam, chosen // n, chosen % n // l


def _left(gap: jax.Array, counts: jax.Array) -> jax.Array:
  """Global steps that plans leave to go: [B, G], [B, W, N, A] -> [B, W, N]."""
  axes = gap.shape[-1]
  net = counts[..., :axes] - counts[..., counts.shape[-1] // 2:][..., :axes]
  return jnp.nansum(jnp.abs(gap[:, None, None] - net), axis=-1)


def _log_likelihood(variables: Any, vectors: jax.Array, images: jax.Array, model: CTVAE
                    ) -> jax.Array:
  """Of each image under each of C candidates, up to a constant of the image.

  Args:
    vectors: [B, C, V, d]. images: [B, H, W, C].

  Returns:
    [B, C] float32.
  """
  b, c, v, d = vectors.shape
  outputs = model.apply(variables, vectors.reshape(b * c, v, d), method=model.decode)
  outputs = outputs.reshape(b, c, *images.shape[1:])
  mean = lambda output, image: losses.reconstruction(output, image, model.likelihood)
  over_candidates = jax.vmap(mean, in_axes=(0, None))
  return -images[0].size * jax.vmap(over_candidates)(outputs, images)


def distinct(score: jax.Array, counts: jax.Array) -> jax.Array:
  """Leaves the best of candidates with the same actions: [B, C], [B, C, A] -> [B, C].

  score: of each candidate; minus infinity in the result where it is left out. counts: how often it
  holds each action.
  """
  same = (counts[:, :, None] == counts[:, None]).all(-1)                     # [B, C, C]
  order = jnp.arange(score.shape[1])
  better = (score[:, None] > score[:, :, None]) | (
      (score[:, None] == score[:, :, None]) & (order < order[:, None]))
  return jnp.where((same & better).any(-1), -jnp.inf, score)


def _choose(candidates: jax.Array, chosen: jax.Array) -> jax.Array:
  """[B, C, ...], [B, W] int -> [B, W, ...]."""
  index = chosen.reshape(*chosen.shape, *(1,) * (candidates.ndim - 2))
  return jnp.take_along_axis(candidates, index, axis=1)


def search(widen_step: Callable, codes: np.ndarray, targets: np.ndarray, images: np.ndarray,
           gap: np.ndarray, *, steps: int, width: int, num_actions: int) -> dict:
  """Beam search for a batch of pairs.

  Args:
    widen_step: `widen` of (beam, codes, images), compiled.
    codes: [B, V] int. targets: [B, V] int, codes, and images: [B, H, W, C], of the targets.
    gap: [B, G] of `inference.compare`.
    steps: the longest plan. width: W, plans kept at every length.
    num_actions: A.

  Returns:
    actions [B, steps] int, filled with -1 after the plan's end; score [B]; codes
    [B, steps + 1, V], the states on the way, of which those after the end mean nothing.
  """
  b = len(codes)
  beam = start(codes, gap, width, num_actions)
  paths = np.full((b, width, steps), -1)
  ways = np.repeat(codes[:, None, None], steps + 1, axis=2).repeat(width, axis=1)
  # Without action nothing changes: certain where the codes are equal, impossible elsewhere.
  score = np.where((codes == targets).all(-1), 0., -np.inf)
  best_path, best_way = paths[:, 0].copy(), ways[:, 0].copy()
  for depth in range(steps):
    beam, parent, action = widen_step(beam, targets, images)
    parent, now = np.asarray(parent), np.asarray(beam.score)[:, 0]
    paths = np.take_along_axis(paths, parent[..., None], axis=1)
    ways = np.take_along_axis(ways, parent[..., None, None], axis=1)
    paths[:, :, depth], ways[:, :, depth + 1] = action, beam.codes
    better = now > score
    score = np.where(better, now, score)
    best_path[better], best_way[better] = paths[better, 0], ways[better, 0]
  return {'actions': best_path, 'score': score, 'codes': best_way}


def plan(widen_step: Callable, codes: np.ndarray, targets: np.ndarray, images: np.ndarray,
         gap: np.ndarray, *, steps: int, width: int, names: tuple[str, ...], largest: int
         ) -> list[Plan]:
  """Plans for any number of pairs.

  Args:
    widen_step, codes, targets, images, gap, steps, width: as for `search`. names: of the actions.
    largest: states in a batch, a power of two.
  """
  pairs = max(largest // (1 << (width - 1).bit_length()), 1)
  one = functools.partial(search, widen_step, steps=steps, width=width, num_actions=len(names))
  found = in_batches(one, codes, targets, images, gap, largest=pairs)
  plans = []
  for path, score, way in zip(found['actions'], found['score'], found['codes']):
    actions = tuple(names[a] for a in path if a >= 0)
    plans.append(Plan(actions, float(score), way[:len(actions) + 1].astype(np.int32)))
  return plans
