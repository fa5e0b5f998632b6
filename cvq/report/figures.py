"""Which figures the report shows, from report.json's values and the pictures beside them."""

from __future__ import annotations

import dataclasses
from typing import Any, Sequence

import numpy as np

from cvq.report import charts, svg

# A curve's title and unit; what config.loss weighs is named after its weight.
_CURVES = {
    'loss': ('Loss, weighted sum', 'loss'),
    'retrieval': ('Cross-entropy of the action', 'nats'),
    'reconstruction': ('Reconstruction', '{a pixel}'),
    'action_image': ('Image after an action', '{a pixel}'),
    'action_nll': ('Codes of y under the action', 'nats an image'),
    'codebook': ('Codebook', 'squared distance'),
    'code_entropy': ('Entropy of the codes given latents, less that of the codes', 'nats'),
    'edge_kl': ('KL of the edges to their prior', 'nats an edge'),
    'graph_size': ('Parents of a node', 'edges'),
    'base_nll': ('Codes of x without action', 'nats an image'),
    'global_own': ('Global level: step of the variable that moves', 'squared error'),
    'global_others': ('Global level: steps of the others', 'squared error'),
    'base_graph': ('Distance of the graph to the identity', 'squared error'),
    'gradient_norm': ('Norm of the gradient', 'norm')}
_MATRIX_COLUMNS = 64         # variables up to which each gets its own row of information


@dataclasses.dataclass(frozen=True)
class Figure:
  """A picture on the page: `width` CSS pixels, in words for those who can't see it in `alt`."""
  title: str
  alt: str
  uri: str
  width: int
  note: str = ''
  paper: bool = False        # drawn on white, whatever the scheme


def curves(report: dict) -> list[Figure]:
  """Training curves: accuracy and image error with validation, then the loss and its main terms."""
  def series(name: str, key: str) -> list[charts.Series]:
    curve = report['curves'].get(key)
    return [(name, curve['step'], curve['value'])] if curve else []

  chance = report['evaluation']['retrieval']['chance']
  result = []
  accuracy = (series('training', 'train/retrieval_accuracy')
              + series('validation', 'validation/retrieval/directed'))
  if accuracy:
    ends = [min(accuracy[0][1]), max(accuracy[0][1])]
    result.append(_lines('Retrieval of the action', accuracy + [('chance', ends, [chance] * 2)],
                         'accuracy', from_zero=True))
  image = (series('model', 'validation/intervention/mse')
           + series('reconstruct y', 'validation/reconstruction/mse')
           + series('copy x', 'validation/intervention/copy_mse'))
  if image:
    result.append(_lines('Image after an action, validation', image, 'MSE', from_zero=True))
  bernoulli = report['config']['model']['likelihood'] == 'bernoulli'
  pixel = 'nats a pixel' if bernoulli else 'squared error a pixel'
  for term, (title, unit) in _CURVES.items():
    curve = series('training', f'train/{term}')
    if curve:
      result.append(_lines(title, curve, unit.replace('{a pixel}', pixel)))
  return result


def _lines(title: str, series: Sequence[charts.Series], unit: str, *, from_zero: bool = False
           ) -> Figure:
  drawn = charts.lines(series, x_label='step', y_label=unit, from_zero=from_zero)
  ends = '; '.join(f'{name} from {y[0]:.3g} to {y[-1]:.3g}' for name, _, y in series)
  return _figure(title, f'{title} ({unit}) over training steps: {ends}.', drawn)


def _figure(title: str, alt: str, drawn: svg.Svg, note: str = '') -> Figure:
  return Figure(title, alt, drawn.uri(), round(drawn.width), note)


def pages(pictures: dict) -> dict[str, Figure]:
  """Reconstructions and the atlas of interventions, as training draws them."""
  def page(name: str, alt: str) -> Figure:
    picture = pictures[name]           # has its own title; two pixels are one of the page
    return Figure('', alt, svg.png_uri(picture), picture.shape[1] // 2, paper=True)
  return {
      'reconstructions': page(
          'reconstructions',
          'Validation images, beneath them what the model makes of them, and the absolute error.'),
      'atlas': page(
          'interventions',
          'Validation images in rows, actions in columns: the image that the model predicts, and '
          'the true one beneath. Patches whose likeliest codes change are outlined.')}


def traversal(report: dict, pictures: dict) -> Figure:
  """Each action repeated, what the model imagines above the truth."""
  p = pictures['traversals']
  names, k = report['retrieval']['actions'], p['model'].shape[1]
  rows = []
  for a, name in enumerate(names):
    truth = [image if ok else None for image, ok in zip(p['truth'][a], p['valid'][a])]
    rows.append((name, [('model', [p['x'][a], *p['model'][a]]), ('true', [p['x'][a], *truth])]))
  drawn = charts.strips(rows, ['x', *(f'k = {i}' for i in range(1, k + 1))])
  return _figure(
      'Traversals', f'For each of {len(names)} actions, an image and what the model makes of it '
      f'after 1 to {k} interventions in a row, above the true images.', drawn,
      'The same action k times: the predicted vectors are fed back, x is encoded once. Each x is '
      'the one with the longest way to the end of the factor’s range.')


def decay(report: dict) -> Figure:
  """Image error over the length of a chain."""
  d = report['chains']['decay']
  some = d['vectors']['mse']
  steps = [i for i, value in enumerate(some) if value is not None]
  at = lambda values: [values[i] for i in steps]
  series = [('vectors fed back', [i + 1 for i in steps], at(some)),
            ('codes fed back', [i + 1 for i in steps], at(d['codes']['mse'])),
            ('copy x', [i + 1 for i in steps], at(d['vectors']['copy_mse']))]
  drawn = charts.lines(series, x_label='interventions in a row, k', y_label='MSE to the true image',
                       from_zero=True, width=440, height=280)
  return _figure('Decay of chains', 'Mean squared error to the true image after k interventions, '
                 'for predicted vectors and codes fed back, beside copying x.', drawn)


def precision(report: dict) -> list[Figure]:
  """Precision and stability over the length of a chain; none without an oracle."""
  d = report['chains']['decay']
  result = []
  for name, title, unit in (
      ('precision', 'Precision of chains', 'asked factor right'),
      ('stability', 'Stability of chains', 'other factors right')):
    steps = [i for i, value in enumerate(d['truth'].get(name, ())) if value is not None]
    if not steps:
      continue
    series = [(label, [i + 1 for i in steps], [d[of][name][i] for i in steps])
              for label, of in (('vectors fed back', 'vectors'), ('codes fed back', 'codes'),
                                ('true images', 'truth'))]
    drawn = charts.lines(series, x_label='interventions in a row, k', y_label=unit + ', share',
                         from_zero=True, width=440, height=280)
    result.append(_figure(title, f'Share of chains with the {unit} after k interventions, for '
                          'predicted vectors and codes fed back, beside true images.', drawn))
  return result


def plans(report: dict, pictures: dict) -> list[Figure]:
  """Plans as film strips: what the model imagines, above where its actions lead."""
  shown = (report['planning'] or {}).get('shown')
  if not shown:
    return []
  p = pictures['plans']
  longest = max(len(row['actions']) for row in shown)
  rows, captions = [], []
  for i, row in enumerate(shown):
    fill = [None] * (longest - len(row['actions']))
    rows.append(('arrives' if row['arrives'] else 'misses', [
        (name, [p['x'][i], *p[of][i], *fill, p['y'][i]])
        for name, of in (('model', 'model'), ('true', 'truth'))]))
    captions.append(['', *row['actions']])
  drawn = charts.strips(rows, ['x', *map(str, range(1, longest + 1)), 'target'], blank='',
                        captions=captions)
  count = sum(row['arrives'] for row in shown)
  return [_figure(
      'Film strips', f'{len(shown)} plans, {count} of which arrive: x, what the model imagines '
      'after each action with the true images beneath, and the target.', drawn,
      'The first pairs drawn whose plan arrives at the target, and the first whose plan misses it. '
      'Above: what the model imagines, decoded from the codes that its search goes through. '
      'Beneath: where the same actions lead.')]


def confusion(report: dict) -> Figure:
  r = report['retrieval']
  names = r['actions']
  drawn = charts.matrix(r['confusion'], names, names, row_label='true action',
                        column_label='retrieved action')
  return _figure('Confusion of actions', f'{len(names)} by {len(names)} matrix: the share of each '
                 'true action that is retrieved as each action; the diagonal is right.', drawn)


def calibration(report: dict) -> Figure:
  r = report['retrieval']['reliability']
  drawn = charts.reliability(r['confidence'], r['accuracy'], r['pairs'])
  return _figure('Calibration', 'Accuracy of the retrieved action over the probability that the '
                 'model gives it, in 15 bins; on the dashed diagonal it is calibrated.', drawn)


def information(report: dict, pictures: dict) -> list[Figure]:
  """Code-factor information: a row for each variable, or maps of positions where V > 64."""
  table, names = pictures['information'], report['representation']['factors']
  alt = 'How much of the entropy of each factor the code of each variable tells, as a heat map.'
  note = 'I(code; factor) / H(factor) of each variable.'
  if len(table) <= _MATRIX_COLUMNS:
    return [_table('Information of codes about factors', alt, table, names, note)]
  on_grid = _on_grid(table, report['run']).max(1)
  drawn = charts.maps([('I / H', list(on_grid))], names, row_label='row', column_label='column',
                      limit=max(float(table.max()), 1e-9))
  return [_figure('Information of codes about factors', alt, drawn,
                  'I(code; factor) / H(factor) at each position of the grid, of the codebook that '
                  'tells most there.')]


def global_information(report: dict, pictures: dict) -> list[Figure]:
  """The same of the global level, where there is one."""
  if 'global_information' not in pictures:
    return []
  return [_table(
      'Information of the global level about factors', 'How much of the entropy of each factor the '
      'code of each global variable tells, as a heat map.', pictures['global_information'],
      report['representation']['factors'], 'I(code; factor) / H(factor). Variable i is what '
      'actions on factor i move: disentangled, only the diagonal is dark.')]


def moved(report: dict, pictures: dict) -> list[Figure]:
  """Which variables actions on a factor move, and what the mask marks."""
  p, names = pictures['mechanisms'], report['mechanisms']['alignment']['factors']
  if len(p['moved']) <= _MATRIX_COLUMNS:
    return [_table('Variables that move', 'Share of transitions of each factor in which the code '
                   'of each variable changes, as a heat map.', p['moved'], names,
                   'Share of transitions in which the code changes from x to y.'),
            _table('Mask', 'Mean mask of each variable under actions on each factor, as a heat '
                   'map.', p['mask'], names, 'Mean mask, over both directions.')]
  groups = [(label, list(_on_grid(p[label], report['run']).mean(1)))
            for label in ('moved', 'mask')]
  limit = max(float(np.max(maps)) for _, maps in groups) or 1.
  drawn = charts.maps(groups, names, row_label='row', column_label='column', limit=limit)
  return [_figure('Variables that move, and the mask', 'For each factor, maps of the grid: the '
                  'share of transitions in which codes change, and the mask beneath.', drawn,
                  'Share of codes that change from x to y, and the mean mask, averaged over '
                  'codebooks and both directions.')]


def _table(title: str, alt: str, table: np.ndarray, names: Sequence[str], note: str) -> Figure:
  drawn = charts.matrix(
      table, [f'v{i}' for i in range(len(table))], names, row_label='variable',
      column_label='factor', limit=max(float(table.max()), 1e-9))
  return _figure(title, alt, drawn, note)


def _on_grid(table: np.ndarray, run: dict) -> np.ndarray:
  """[V, F] -> [F, K, H, W]."""
  return np.asarray(table).T.reshape(-1, run['codebooks'], *run['grid'])


def adjacency(report: dict, pictures: dict) -> Figure:
  """Edges of the graph under each action: child in rows, parent in columns."""
  graph = pictures['mechanisms']['graph']
  names = report['retrieval']['actions']
  half = len(names) // 2
  drawn = charts.maps(
      [('+1\nof a factor', list(graph[:half])), ('−1\nof a factor', list(graph[half:]))],
      [name.removesuffix('+1') for name in names[:half]], row_label='child',
      column_label='parent', limit=max(float(graph.max()), 1e-9))
  return _figure('Causal graph under each action', 'Adjacency matrices, one for each action: child '
                 'in rows, parent in columns, colour is the weight of the edge.', drawn,
                 f'Mean over those of {report["mechanisms"]["images"]} images from which the action '
                 f'leads to another; {graph.shape[-1]} × {graph.shape[-1]} nodes.')


def failures(report: dict, pictures: dict) -> list[dict[str, Any]]:
  """The worst retrievals: images as URIs, with the place of their numbers in report.json."""
  p = pictures['failures']
  return [{'key': f'retrieval.failures.{i}', 'x': svg.png_uri(x), 'y': svg.png_uri(y),
           'true': row['true'], 'retrieved': row['retrieved']}
          for i, (x, y, row) in enumerate(zip(p['x'], p['y'], report['retrieval']['failures']))]
