"""What the page shows of the model's answers, as plain values for JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from cvq.report import svg

_BEAM = 8


def facts(model: Any) -> dict:
  """Shapes and names; the actions by factor, as (factor, its -1, its +1)."""
  f = model.facts
  half = len(f.action_names) // 2
  return {'height': f.image_shape[0], 'width': f.image_shape[1], 'channels': f.image_shape[2],
          'rows': f.grid[0], 'columns': f.grid[1], 'codebooks': f.codebooks,
          'actions': [(up.removesuffix('+1'), down, up)
                      for up, down in zip(f.action_names[:half], f.action_names[half:])]}


def image_uri(image: np.ndarray) -> str:
  """[H, W, C] uint8, or float in [0, 1], as a PNG data URI."""
  return svg.png_uri(image) if image.dtype == np.uint8 else svg.image_uri(image)


def intervene(model: Any, image: np.ndarray, action: str) -> dict:
  """The image under an action, which codes moved, mask and graph.

  Args:
    model: `cvq.api.model.Model`. image: [H, W, C] uint8. action: its name.

  Returns:
    image: URI. moved: codes of all that differ from those of x, positions of the grid with such,
    and grid [rows][columns], how many at each. mask, graph: heat maps as URIs, full colour at
    `limit`.

  Raises:
    UserError: unknown action.
  """
  f = model.facts
  edited = model.intervene(image, action)
  moved = (edited.codes != model.encode(image)).reshape(f.codebooks, *f.grid).sum(0)
  mask = edited.mask.reshape(f.codebooks, *f.grid).mean(0)
  largest = float(edited.graph.max())
  return {
      'image': image_uri(edited.images),
      'moved': {'codes': int(moved.sum()), 'of': f.variables, 'grid': moved.tolist(),
                'positions': int((moved > 0).sum()), 'places': moved.size},
      'mask': {'uri': svg.heat_uri(mask, 1.), 'limit': 1., 'share': float(mask.mean())},
      'graph': {'uri': svg.heat_uri(edited.graph, max(largest, 1e-9)), 'limit': largest,
                'nodes': len(edited.graph)}}


def retrieve(model: Any, image: np.ndarray, target: np.ndarray) -> dict:
  """Every action with its probability, likeliest first."""
  ranked = model.retrieve(image, target).best(len(model.action_names))
  return {'ranked': [{'action': name, 'probability': p} for name, p in ranked]}


def plan(model: Any, image: np.ndarray, target: np.ndarray, steps: int) -> dict:
  """Actions that lead from one image to the other, and the model's image before and after each.

  Args:
    image, target: [H, W, C] uint8. steps: the longest plan.
  """
  found = model.plan(image, target, max_steps=steps, beam=_BEAM)
  images = model.decode(found.codes)
  return {'actions': list(found.actions), 'images': [image_uri(image) for image in images]}
