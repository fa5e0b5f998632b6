"""Sequences of actions between images, as far as a baseline can find them."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from cvq import planning
from cvq.data.images import Images


def search(predict: Callable[[np.ndarray], Any], z_x: np.ndarray, z_y: np.ndarray, steps: int,
           width: int) -> tuple[list[list[int]], np.ndarray]:
  """The actions whose predictions come nearest to a target.

  What our own search knows of actions holds here too: of sequences with the same actions only the
  nearest goes on, and none holds an action and its opposite; nothing is done where the latents are
  equal, and nowhere else.

  Args:
    predict: [m, L] -> [m, A, L], where every action leads.
    z_x, z_y: [n, L], starts and targets. steps: most actions. width: sequences kept at a length.

  Returns:
    n lists of actions, and how far from the target they end, squared, [n].
  """
  n, latents = z_x.shape
  square = lambda points: np.square(points - z_y[:, None]).sum(-1)
  points, paths = z_x[:, None], np.zeros((n, 1, 0), int)
  far = square(points)                                                       # [n, kept]
  best, counts = [[] for _ in range(n)], None
  nearest = np.where((z_x == z_y).all(-1), 0., np.inf)
  for _ in range(steps):
    kept = points.shape[1]
    led = np.asarray(predict(points.reshape(n * kept, latents)))
    actions = led.shape[1]
    if counts is None:
      counts = np.zeros((n, 1, actions), int)
    undone = np.roll(counts, actions // 2, axis=-1) > 0
    left_out = (np.isinf(far)[..., None] | undone).reshape(n, kept * actions)
    led = led.reshape(n, kept * actions, latents)
    counts = (counts[:, :, None] + np.eye(actions, dtype=int)).reshape(n, kept * actions, actions)
    far = -np.asarray(planning.distinct(np.where(left_out, -np.inf, -square(led)), counts))
    order = np.argsort(far, axis=-1, kind='stable')[:, :width]               # [n, width]
    far = np.take_along_axis(far, order, axis=1)
    points, counts = (np.take_along_axis(a, order[..., None], axis=1) for a in (led, counts))
    before = np.take_along_axis(paths, (order // actions)[..., None], axis=1)
    paths = np.concatenate([before, (order % actions)[..., None]], axis=-1)
    for i in np.flatnonzero(far[:, 0] < nearest):
      best[i], nearest[i] = paths[i, 0].tolist(), far[i, 0]
  return best, nearest


def shown_the_truth(choose: Callable[[np.ndarray, np.ndarray, int], np.ndarray], images: Images,
                    start: np.ndarray, target: np.ndarray, steps: int) -> list[list[int]]:
  """What a model does step by step, where the true image after each action is shown to it.

  More than a plan has to go by; a model of pairs, which draws nothing, has no other way. It stops
  where it sees the target.

  Args:
    choose: uint8 [n, H, W, C] images and targets, and how many actions are left -> the next
      action [n] int, -1 for none. images: of a full grid. start, target: [n] int. steps: most
      actions.

  Returns:
    n lists of actions; one that would leave its factor's range does nothing.
  """
  place, goal = np.array(start, np.int64), images.read(target)
  plans: list[list[int]] = [[] for _ in place]
  for left in range(steps, 0, -1):
    seen = images.read(place)
    action = choose(seen, goal, left)
    going = (seen != goal).any((1, 2, 3)) & (action >= 0)
    led, _ = images.space.step(place, np.maximum(action, 0))
    place = np.where(going, led, place)
    for i in np.flatnonzero(going):
      plans[i].append(int(action[i]))
  return plans
