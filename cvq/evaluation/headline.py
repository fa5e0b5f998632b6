"""The table printed at the end of a run: each figure with its baselines beside it."""

from __future__ import annotations

from typing import Sequence


def headline(evaluation: dict) -> str:
  """Lines of text that sum up what evaluation.json holds; see `cvq.evaluate`.

  A figure that evaluation.json lacks or that is None has no line.
  """
  table = _table([('', 'model', 'to compare with'), *rows(evaluation)])
  return '\n'.join([_what_was_run(evaluation), *table])


def rows(evaluation: dict) -> list[tuple[str, str, str]]:
  """(figure, its value, its baselines) in words; two blanks lead a figure that details another."""
  found = []
  if not evaluation.get('same_scene', True):
    found.append(
        ('x and y', 'differ', 'other images (of faces: people), alike in the labels alone'))
  found += _retrieval(evaluation['retrieval'])
  if 'intervention' in evaluation:
    found += _images(evaluation)
  if 'codes' in evaluation:
    found += _codes(evaluation['codes'])
  if 'global_level' in evaluation:
    found += _global_level(evaluation['global_level'])
  if 'imbalanced' in evaluation:
    found += _imbalanced(evaluation['imbalanced'])
  return found


def _what_was_run(evaluation: dict) -> str:
  pairs = evaluation['retrieval']['pairs']
  return (f'{evaluation["dataset"]}, {evaluation["split"]} split, {pairs:,} transitions; '
          f'step {evaluation["step"]:,}, seed {evaluation["seed"]}, '
          f'cvq {evaluation["version"]}, {evaluation["seconds"]:.0f} s')


def _retrieval(r: dict) -> list[tuple[str, str, str]]:
  chance = {'directed': r['chance'], 'factor': 1 / len(r['per_factor'])}
  rows = []
  for what, kind in (('action', 'directed'), ('factor', 'factor')):
    natural = r.get(f'natural_majority_{kind}')
    rows.append((f'retrieval of the {what}', _share(r[kind]),
                 f'chance {_share(chance[kind])}, majority {_share(r[f"majority_{kind}"])}'
                 + (f' (not levelled: {_share(natural)})' if natural is not None else '')))
    if kind == 'directed' and 'directed_top2' in r:
      rows.append(('  among the two likeliest', _share(r['directed_top2']),
                   f'chance {_share(2 * r["chance"])}; always copying x scores chance in each'))
  if r.get('invisible_pairs') and r.get('directed_visible') is not None:
    rows.append(('  visible pairs only', _share(r['directed_visible']),
                 f'factor {_share(r["factor_visible"])}; pixel-identical pairs left out: '
                 f'{r["invisible_pairs"]:,}'))
  for kind in ('action', 'factor'):
    tested = {name: value for name, value in r[f'per_{kind}'].items() if value is not None}
    if tested:
      weakest = min(tested, key=tested.get)
      rows.append((f'  weakest {kind}', _share(tested[weakest]), weakest))
  error = r.get('expected_calibration_error')
  if error is not None:
    rows.append(('  calibration error', _share(error), 'calibrated 0'))
  return rows


def _imbalanced(evaluation: dict) -> list[tuple[str, str, str]]:
  r, i = evaluation['retrieval'], evaluation.get('intervention')
  rows = [('drawn as in training: action', _share(r['directed']),
           f'majority {_share(r["majority_directed"])}'),
          ('  factor', _share(r['factor']), f'majority {_share(r["majority_factor"])}')]
  if i is not None:
    rows.append(('  image after an action, MSE', _error(i['mse']),
                 f'copying x {_error(i["copy_mse"])}'))
  return rows


def _images(evaluation: dict) -> list[tuple[str, str, str]]:
  i, r = evaluation['intervention'], evaluation['reconstruction']
  rows = [('image after an action, MSE', _error(i['mse']),
           f'copying x {_error(i["copy_mse"])}, '
           f'reconstructing y {_error(i["reconstruction_mse"])}')]
  if i.get('mse_codes') is not None:
    rows.append(('  from the likeliest codes', _error(i['mse_codes']), ''))
  rows.append(('  PSNR, SSIM', f'{i["psnr"]:.1f} dB, {_share(i["ssim"])}',
               f'reconstructing y {r["psnr"]:.1f} dB, {_share(r["ssim"])}'))
  rows.append(('reconstruction, MSE', _error(r['mse']), ''))
  return rows


def _codes(c: dict) -> list[tuple[str, str, str]]:
  rows = [('codes changed in a step', f'{c["changed_per_step"]:.1f}',
           f'of {c["variables"]}' + (f', in {c["changed_positions"]:.1f} positions of the grid'
                                     if c.get('changed_positions') is not None else ''))]
  if c.get('mask_precision') is not None and c.get('mask_recall') is not None:
    rows.append(('  found by the mask', f'{c["mask_recall"]:.0%}',
                 f'precision {c["mask_precision"]:.0%}'))
  books = len(c['usage'])
  each = f'; {books} codebooks' if books > 1 else ''
  rows.append(('codes in use', _range([f'{u:.0%}' for u in sorted(c['usage'])]),
               f'perplexity {_range([f"{p:.1f}" for p in sorted(c["perplexity"])])}{each}'))
  return rows


def _global_level(g: dict) -> list[tuple[str, str, str]]:
  per = g['moved_per_factor']
  weakest = min(per, key=per.get)
  return [('global codes changed', f'{g["changed_per_step"]:.2f}',
           f'of {g["variables"]}, in a step; 1 is that of the factor'),
          ('  that of the factor, by one', _share(g['moved']),
           f'weakest {_share(per[weakest])}, {weakest}'),
          ('  all others stayed', _share(g['stayed']), '')]


def _range(ordered: Sequence[str]) -> str:
  first, last = ordered[0], ordered[-1]
  return first if first == last else f'{first} to {last}'


def _share(value: float) -> str:
  return f'{value:.3f}'


def _error(value: float) -> str:
  return f'{value:.4f}' if value >= 1e-3 else f'{value:.2g}'


def _table(rows: Sequence[tuple[str, str, str]]) -> list[str]:
  first, second = (max(len(row[i]) for row in rows) for i in (0, 1))
  return [f'  {name:<{first}}  {value:>{second}}  {other}'.rstrip() for name, value, other in rows]
