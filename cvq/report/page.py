"""The HTML page: every number in it is read from report.json by the key that its cell carries."""

from __future__ import annotations

import pathlib
from typing import Any, Callable

import jinja2

from cvq.config import leaves
from cvq.report import figures

NOTHING = '–'                         # where a figure cannot be told

FORMATS: dict[str, Callable[[Any], str]] = {
    'text': str,
    'count': lambda v: f'{v:,.0f}',
    'one': lambda v: f'{v:,.1f}',
    'share': lambda v: f'{v:.3f}',
    'percent': lambda v: f'{v:.1%}',
    'error': lambda v: f'{v:.4f}' if v >= 1e-3 else f'{v:.2g}',
    'short': lambda v: f'{v:.3g}'}

SCORES = {                            # metric -> its scores, as the page calls them
    'mig': {'mig': 'MIG'},
    'sap': {'sap': 'SAP'},
    'dci': {'disentanglement': 'DCI disentanglement', 'completeness': 'DCI completeness',
            'informativeness': 'DCI informativeness'},
    'factor_vae': {'factor_vae': 'FactorVAE'},
    'beta_vae': {'beta_vae': 'BetaVAE'},
    'modularity_explicitness': {'modularity': 'Modularity', 'explicitness': 'Explicitness'},
    'irs': {'irs': 'IRS'},
    'infomec': {'modularity': 'InfoModularity', 'compactness': 'InfoCompactness',
                'explicitness': 'InfoExplicitness'}}


def look_up(report: dict, key: str) -> Any:
  """The value at a dotted key, 'retrieval.failures.0.true'; None where a part is missing."""
  value: Any = report
  for part in key.split('.'):
    if isinstance(value, list):
      value = value[int(part)]
    elif isinstance(value, dict):
      value = value.get(part)
    else:
      return None
  return value


def show(value: Any, kind: str) -> str:
  """A value as the page shows it; `kind` is one of FORMATS."""
  return NOTHING if value is None else FORMATS[kind](value)


def render(report: dict, pictures: dict) -> str:
  """The page as one HTML text that needs nothing else.

  Args:
    report: as report.json holds it. pictures: arrays by name; see `cvq.report.collect`.
  """
  environment = jinja2.Environment(
      loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent), autoescape=True,
      undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
  return environment.get_template('page.html').render(
      report=report, scores=SCORES, config=dict(leaves(report['config'])),
      value=lambda key: look_up(report, key),
      show=lambda key, kind: show(look_up(report, key), kind),
      curves=figures.curves(report), pages=figures.pages(pictures),
      traversal=figures.traversal(report, pictures), decay=figures.decay(report),
      precision=figures.precision(report), plans=figures.plans(report, pictures),
      confusion=figures.confusion(report), calibration=figures.calibration(report),
      information=figures.information(report, pictures),
      global_information=figures.global_information(report, pictures),
      moved=figures.moved(report, pictures),
      adjacency=figures.adjacency(report, pictures),
      failures=figures.failures(report, pictures))
