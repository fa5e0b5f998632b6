"""Pictures of a state: what goes to TensorBoard and WORKDIR/pictures during training."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np

from cvq import pictures
from cvq.data import pipeline
from cvq.data.neighbours import neighbours
from cvq.evaluation import graphs


@functools.lru_cache(maxsize=2)
def _imagine(step: Any, model: Any):
  return jax.jit(functools.partial(step, model=model))


def draw(run: Any, state: Any, config: Any, *, examples: int = 8, atlas: int = 4) -> dict:
  """Pictures by name, uint8 [H, W, 3]: reconstructions, interventions, graph, masks.

  A method without codes has no graph and no masks, one that generates nothing has no pictures.

  Args:
    run: cvq.session.Run. state: of the model. config: of the run.
    examples: images in the reconstructions. atlas: of them in the atlas of interventions.
  """
  space, images = run.dataset.space, run.dataset.images
  batch = next(iter(pipeline.evaluation_batches(
      run.dataset, config.dataset, split='validation', examples=examples, batch_size=examples,
      seed=config.evaluation.seed)))
  out = jax.device_get(_imagine(run.method.imagine_step, run.model)(state, batch['x']))
  if 'prediction' not in out:
    return {}
  target, valid = neighbours(images).step(
      batch['x_index'][:, None], np.arange(space.num_actions))
  shape = valid[:atlas].shape
  truth = images.read(np.where(valid, target, 0)[:atlas].ravel()).reshape(
      *shape, *images.image_shape)
  truth = [[image if ok else None for image, ok in zip(*row)] for row in zip(truth, valid)]
  names = space.action_names
  atlas_of = functools.partial(
      pictures.interventions, batch['x'][:atlas], out['prediction'][:atlas], truth, names)
  drawn = {'reconstructions': pictures.reconstructions(batch['x'], out['reconstruction'])}
  if 'changed' not in out:
    return drawn | {'interventions': atlas_of()}
  grid, books = run.model.grid, run.model.quantizer.codebooks
  changed = out['changed'][:atlas].reshape(*shape, books, *grid).any(2)
  mean = lambda values: graphs.mean_of_each(values, graphs.possible(valid))
  return drawn | {
      'interventions': atlas_of(changed=changed),
      'graph': pictures.adjacency(mean(out['graph']), names),
      'masks': pictures.masks(mean(out['mask']), names, books, grid)}
