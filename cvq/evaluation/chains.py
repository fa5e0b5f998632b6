"""Interventions one after another: how errors grow, and whether actions undo and commute.

Plain functions on arrays: codes [n, V] int, images [n, H, W, C] in [0, 1].
"""

from __future__ import annotations

import numpy as np

from cvq.evaluation.image_quality import mse


def walk(near, index: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Images that a sequence of actions leads to on the grid of factors.

  Args:
    near: `cvq.data.neighbours`. index: [n] int, where each begins. actions: [n, k] int.

  Returns:
    (index [n, k] int64, valid [n, k] bool): after each action, and whether the factors stayed in
    their ranges up to there.
  """
  places, inside = [], []
  ok = np.ones(len(index), bool)
  for action in actions.T:
    index, valid = near.step(index, action)
    ok = ok & valid
    places.append(index)
    inside.append(ok)
  return np.stack(places, axis=1), np.stack(inside, axis=1)


def decay(images: np.ndarray, truth: np.ndarray, x: np.ndarray, valid: np.ndarray) -> dict:
  """Error of chains after each of their k steps, over the chains that have a true image there.

  Args:
    images, truth: [n, k, H, W, C]. x: [n, H, W, C], where they begin. valid: [n, k] bool.

  Returns:
    Lists of k: `chains` that count, their mean squared error `mse`, and that of copying x,
    `copy_mse`; None where there is no chain left.
  """
  mean = lambda errors: [float(column[ok].mean()) if ok.any() else None
                         for column, ok in zip(np.asarray(errors).T, valid.T)]
  return {'chains': valid.sum(0).tolist(), 'mse': mean(mse(images, truth)),
          'copy_mse': mean(mse(x[:, None], truth))}


def inverse(x_codes: np.ndarray, codes: np.ndarray, x: np.ndarray, images: np.ndarray) -> dict:
  """Whether an action and then its opposite give x back.

  Args:
    x_codes: [n, V]. codes: [n, 2, V] after the action, and after both. x: [n, H, W, C].
    images: [n, 2, H, W, C] likewise.

  Returns:
    `equal`: share of variables with the code of x after both; `equal_before`: after the action
    alone, what they would keep if nothing was undone; `mse`, `mse_before`: of the images, to x.
  """
  same = (codes == x_codes[:, None]).mean((0, 2))
  error = mse(images, x[:, None]).mean(0)
  return {'equal': float(same[1]), 'equal_before': float(same[0]),
          'mse': float(error[1]), 'mse_before': float(error[0])}


def commutation(first_codes: np.ndarray, second_codes: np.ndarray, first: np.ndarray,
                second: np.ndarray) -> dict:
  """Whether two actions do the same in either order.

  Args:
    first_codes, second_codes: [n, 2, V] after each action of (a, b), and of (b, a).
    first, second: [n, 2, H, W, C], their images.

  Returns:
    `equal`: share of variables with the same code in either order; `equal_halfway`: after a
    alone and b alone, two images two steps apart; `mse`, `mse_halfway`: between the images.
  """
  same = (first_codes == second_codes).mean((0, 2))
  error = mse(first, second).mean(0)
  return {'equal': float(same[1]), 'equal_halfway': float(same[0]),
          'mse': float(error[1]), 'mse_halfway': float(error[0])}
