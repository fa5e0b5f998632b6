"""Multi-step retrieval: does a plan between two images lead to the right factors?"""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Sequence

import numpy as np

from cvq.data.factors import FactorSpace
from cvq.data.images import Images
from cvq.errors import UserError

_ROUNDS = 200                  # of drawing candidates, before a split counts as too small


@dataclasses.dataclass(frozen=True)
class Proposals:
  """What is proposed to get from each of p images to its target.

  Attributes:
    start, target: [p] int64.
    found: the model's p plans, of its search; none without a model.
    actions: {'beam': those of `found`; 'greedy': of a search that keeps a single plan of each
      length; 'random': n random actions; 'none'}, p sequences of int each; the last two alone
      without a model.
  """
  start: np.ndarray
  target: np.ndarray
  found: list[Any]
  actions: dict[str, list[list[int]]]


def propose(model: Any, images: Images, inside: Callable[[np.ndarray], np.ndarray], *, steps: int,
            pairs: int, beam: int = 8, seed: int = 0) -> Proposals:
  """Plans between images that random walks of n steps join, and those to compare with.

  A walk may go back on itself, so the images are at most n steps apart; `figures` says how far. A
  plan may have n actions.

  Args:
    model: with `plan` of `cvq.api.model.Model`, or None.
    images: of a full grid. inside: which images both ends are taken from, [...] int -> bool.
    steps: n. pairs: p. beam: width of the search. seed: of the walks.

  Raises:
    UserError: images without a grid, too few pairs inside.
  """
  space = images.space
  if images.combination is not None:
    raise UserError('Multi-step retrieval needs an image for every combination of factors; this '
                    'dataset is a sample of them.')
  rng = np.random.default_rng((seed, steps))
  start, target = draw_pairs(space, inside, steps=steps, pairs=pairs, rng=rng)
  actions = {'random': rng.integers(0, space.num_actions, (pairs, steps)).tolist(),
             'none': [[]] * pairs}
  if model is None:
    return Proposals(start, target, [], actions)
  x, y = images.read(start), images.read(target)
  found, greedy = (model.plan(x, y, max_steps=steps, beam=width) for width in (beam, 1))
  numbers = lambda plans: [
      [space.action_names.index(name) for name in plan.actions] for plan in plans]
  return Proposals(start, target, found, {
      'beam': numbers(found), 'greedy': numbers(greedy), **actions})


def figures(images: Images, proposals: Proposals) -> dict:
  """How good proposals are.

  They are carried out on the factor grid, where an action that would leave a factor's range does
  nothing, and the image that each leads to is compared with its target.

  Returns:
    {'pairs', 'distance': mean least number of actions, and for each of `Proposals.actions`
    {'exact': share with all factors right, 'identical': share whose image is the target's, pixel
    for pixel, 'factors': share of factors right, 'length': mean}}, Python numbers throughout.
  """
  start, target = proposals.start, proposals.target
  return {'pairs': len(start), 'distance': float(distance(images.space, start, target).mean()),
          **{name: judge(images, start, target, of) for name, of in proposals.actions.items()}}


def draw_pairs(space: FactorSpace, inside: Callable[[np.ndarray], np.ndarray], *, steps: int,
               pairs: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
  """Distinct ends of random walks of valid actions.

  Args:
    space: the grid. inside: which images both ends are taken from. steps: of a walk.
    pairs: number of them. rng: source of chance.

  Returns:
    (start, target), [pairs] int64 each.

  Raises:
    UserError: too few such pairs were met.
  """
  found = np.zeros((2, 0), np.int64)
  for _ in range(_ROUNDS):
    start = rng.integers(0, space.num_images, 4096)
    start = end = start[inside(start)]
    for _ in range(steps):
      step, valid = space.step(end[:, None], np.arange(space.num_actions))   # [n, A]
      action = np.where(valid, rng.random(valid.shape), -1).argmax(-1)
      end = step[np.arange(len(end)), action]
    good = inside(end) & (end != start)
    found = np.concatenate([found, [start[good], end[good]]], axis=1)
    if found.shape[1] >= pairs:
      return found[0, :pairs], found[1, :pairs]
  raise UserError(f'Only {found.shape[1]} pairs of images {steps} steps apart were found in the '
                  f'split; {pairs} are needed. Take fewer, or another split.')


def distance(space: FactorSpace, start: np.ndarray, target: np.ndarray) -> np.ndarray:
  """The least number of actions between images: [n] int, [n] int -> [n] int."""
  gap = np.abs(space.to_factors(start) - space.to_factors(target))
  cyclic = np.asarray([factor.kind == 'cyclic' for factor in space.factors])
  around = np.where(cyclic, np.asarray(space.sizes) - gap, gap)
  return np.minimum(gap, around).sum(-1)


def follow(space: FactorSpace, start: np.ndarray, plans: Sequence[Sequence[int]]) -> np.ndarray:
  """Where actions lead on the grid, those that leave it doing nothing.

  Args:
    start: [n] int. plans: n sequences of actions.

  Returns:
    [n] int64.
  """
  end = np.array(start, np.int64)
  for i, actions in enumerate(plans):
    for action in actions:
      end[i], _ = space.step(end[i], np.int64(action))
  return end


def judge(images: Images, start: np.ndarray, target: np.ndarray,
          plans: Sequence[Sequence[int]]) -> dict[str, float]:
  """Figures of plans; see `figures`."""
  end = follow(images.space, start, plans)
  right = images.factors(end) == images.factors(target)                      # [n, F]
  return {'exact': float(right.all(-1).mean()),
          'identical': float(arrives(images, end, target).mean()),
          'factors': float(right.mean()), 'length': float(np.mean([len(p) for p in plans]))}


def arrives(images: Images, end: np.ndarray, target: np.ndarray) -> np.ndarray:
  """Whether images are the same, pixel for pixel: [n] int, [n] int -> bool [n]."""
  return (images.read(end) == images.read(target)).all((1, 2, 3))
