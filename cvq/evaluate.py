"""Evaluation of a state on a split: from per-example arrays to evaluation.json."""

from __future__ import annotations

import math
import pathlib
import time
from typing import Any

import numpy as np

import cvq
from cvq import checkpoints, files, parallel, session, stored_config
from cvq.data import pipeline
from cvq.errors import UserError
from cvq.evaluation import codes, headline, image_quality, retrieval


def evaluate_state(run: session.Run, state: Any, config: Any, *, split: str, examples: int,
                   imbalanced: bool = False) -> dict:
  """Figures of a state on a seeded share of a split; every example counts exactly once.

  Args:
    run: data, model and steps. state, config: of the run.
    split: 'train' | 'validation' | 'test'. examples: transitions.
    imbalanced: they are drawn as in training, by config.dataset.imbalance and actions.

  Returns:
    {retrieval, intervention, reconstruction, codes, global_level}, of them what the method has;
    see `cvq.evaluation`.
  """
  table, counts = measure(run, state, config, split=split, examples=examples,
                          imbalanced=imbalanced)
  figures = summarise(table, counts, run.dataset.space.action_names)
  if 'codes' in figures:
    variables = counts.shape[0] * math.prod(getattr(run.model, 'grid', ()))
    figures['codes'] = {'variables': variables} | figures['codes']
  return figures


def measure(run: session.Run, state: Any, config: Any, *, split: str, examples: int,
            imbalanced: bool = False) -> tuple[dict, np.ndarray | None]:
  """What `evaluate_state` sums up, for each example: arguments for `summarise`."""
  rows = []
  for whole in pipeline.evaluation_batches(
      run.dataset, config.dataset, split=split, examples=examples,
      batch_size=parallel.round_up(config.evaluation.batch_size), seed=config.evaluation.seed,
      imbalanced=imbalanced):
    batch = parallel.share(whole)
    images = {name: batch[name] for name in ('x', 'y', 'action')}
    row = parallel.unshard(run.eval_step(state, parallel.shard(images)))
    if 'counts' in row:
      row['counts'] = (row['counts'] * batch['mask'][:, None, None]).sum(0, keepdims=True)
    row |= {'action': batch['action'][:, 0], 'real': batch['mask'],
            'visible': (batch['x'] != batch['y'][:, 0]).any((1, 2, 3))}
    rows.append(row)
  table = parallel.join(
      {name: np.concatenate([row[name] for row in rows]) for name in rows[0]})
  counts, real = table.pop('counts', None), table.pop('real')
  counts = None if counts is None else counts.sum(0, dtype=np.float64)
  return {name: value[real] for name, value in table.items()}, counts


def summarise(table: dict, counts: np.ndarray | None, action_names: tuple[str, ...]) -> dict:
  """Means over examples, of what the method has.

  Args:
    table: arrays [n, ...] of `cvq.steps.eval_step`, with `action` and `visible` [n].
    counts: [K, N] use of the codes, or None. action_names: A of them.
  """
  mean = lambda name: float(table[name].mean(dtype=np.float64))
  part = lambda name: {figure: mean(f'{name}_{figure}') for figure in image_quality.FIGURES}
  result = {'retrieval': retrieval.score_retrieval(
      table['posterior'], table['action'], action_names, visible=table['visible'])}
  if 'intervention_mse' in table:
    predicted = {'mse_codes': mean('codes_mse')} if 'codes_mse' in table else {}
    result['intervention'] = part('intervention') | predicted | {
        'copy_mse': mean('copy_mse'), 'reconstruction_mse': mean('reconstruction_mse')}
    result['reconstruction'] = part('reconstruction')
  if counts is not None:
    result['codes'] = _codes(table, counts)
  if 'global_changed' in table:
    result['global_level'] = _global_level(table, action_names)
  return result


def _global_level(table: dict, action_names: tuple[str, ...]) -> dict:
  """How the variables of the whole image follow actions, on average and by factor."""
  factors = len(action_names) // 2
  of = table['action'] % factors
  by_factor = lambda name: {
      action_names[f].removesuffix('+1'): float(table[name][of == f].mean(dtype=np.float64))
      for f in range(factors) if (of == f).any()}
  mean = lambda name: float(table[f'global_{name}'].mean(dtype=np.float64))
  return {'variables': factors, 'changed_per_step': mean('changed'), 'moved': mean('moved'),
          'stayed': mean('stayed'), 'moved_per_factor': by_factor('global_moved')}


def _codes(table: dict, counts: np.ndarray) -> dict:
  figures = {f'changed_{kind}': float(table[name].mean(dtype=np.float64)) for kind, name in (
      ('per_step', 'changed'), ('positions', 'changed_positions')) if name in table}
  if 'mask_size' in table:
    hits, marked = table['mask_hits'].sum(), table['mask_size'].sum()
    changed = table['changed'].sum()
    figures |= {'mask_size': float(table['mask_size'].mean(dtype=np.float64)),
                'mask_precision': float(hits / marked) if marked else None,
                'mask_recall': float(hits / changed) if changed else None,
                'parents': float(table['parents'].mean(dtype=np.float64))}
  return figures | {'usage': codes.usage(counts).tolist(),
                    'perplexity': codes.perplexity(counts).tolist()}


def evaluate(config: Any, workdir: str) -> dict:
  """Evaluates the newest good checkpoint of a work directory; see `write_evaluation`."""
  run, restored = open_checkpoint(config, workdir, mode='evaluate')
  return write_evaluation(run, restored.state, config, workdir)


def open_checkpoint(config: Any, workdir: str, *, mode: str
                    ) -> tuple[session.Run, checkpoints.Restored]:
  """The run of a config, and the newest good checkpoint of its work directory.

  Raises:
    UserError: there is none, or it belongs to another config. `mode` is the one to leave out in
      order to train.
  """
  if not (pathlib.Path(workdir) / 'checkpoints').is_dir():
    raise UserError(f'--workdir={workdir} holds no checkpoint.\n'
                    f'Train first: the same command without --mode={mode}')
  stored_config.check(workdir, config, but=('evaluation.',))
  run = session.open_run(config)
  store = checkpoints.Checkpoints(
      workdir, keep_last=config.checkpoint.keep_last, keep_best=config.checkpoint.keep_best)
  try:
    restored = store.restore(run.state)
  finally:
    store.close()
  if restored is None:
    raise UserError(f'--workdir={workdir} holds no complete checkpoint.\n'
                    f'Go on training: the same command without --mode={mode}')
  stored_config.write(workdir, config)                 # again, where a damaged one was moved away
  return run, restored


def evaluate_run(run: session.Run, state: Any, config: Any) -> dict:
  """What evaluation.json holds, of a state on the config's split."""
  start = time.monotonic()
  split, examples = config.evaluation.split, config.evaluation.examples
  result = evaluate_state(run, state, config, split=split, examples=examples)
  transitions = pipeline.open_transitions(
      run.dataset.images, config.dataset, split, imbalanced=False)
  result['retrieval'] |= retrieval.natural_majority(transitions.counts)
  if config.dataset.imbalance or config.dataset.actions == 'natural':
    drawn = evaluate_state(run, state, config, split=split, imbalanced=True,
                           examples=result['retrieval']['pairs'])
    result['imbalanced'] = {
        part: drawn[part] for part in ('retrieval', 'intervention') if part in drawn}
  return result | {
      'dataset': f'{config.dataset.name} ({config.dataset.source})', 'split': split,
      'examples': examples, 'examples_seed': config.evaluation.seed,
      'same_scene': run.dataset.images.combination is None,
      'step': int(state.step), 'seed': config.seed,
      'seconds': round(time.monotonic() - start, 1), 'version': cvq.__version__}


def write_evaluation(run: session.Run, state: Any, config: Any, workdir: str) -> dict:
  """Evaluates, writes WORKDIR/evaluation.json atomically, and returns what it holds.

  On another split than the run was started with it is evaluation-SPLIT.json.
  """
  result = evaluate_run(run, state, config)
  if parallel.first():
    split, own = result['split'], stored_config.split(workdir)
    name = 'evaluation.json' if split == own else f'evaluation-{split}.json'
    files.write_json(pathlib.Path(workdir) / name, result)
    print(headline.headline(result))
    if split != own:
      print(f'Written to {pathlib.Path(workdir) / name}, beside that of the split {own}.')
  return result
