"""From a work directory to report.json and report.html."""

from __future__ import annotations

import pathlib
import time
from typing import Any, Callable, Sequence

from cvq import evaluate, files, gallery, parallel, stored_config
from cvq.errors import UserError
from cvq.evaluation import headline
from cvq.report import page, provenance, runs, sections, seeds


def write_report(config: Any, workdir: str, *, compare: Sequence[str] = (),
                 sizes: sections.Sizes = sections.Sizes()) -> dict:
  """Writes WORKDIR/report.json and WORKDIR/report.html about the newest good checkpoint.

  Evaluates it first where evaluation.json is missing or of another step or split.

  Args:
    config: of the run. workdir: of the run.
    compare: other work directories, to stand beside it in a table.
    sizes: of the samples.

  Returns:
    What report.json holds.

  Raises:
    UserError: no checkpoint; a work directory that lacks files, or in which they are damaged.
  """
  if parallel.process()[1] > 1:
    raise UserError('A report is made by one process; copy the work directory to one machine '
                    'and give the same command there.')
  start = time.monotonic()
  tell = _teller(start)
  evaluation = runs.evaluation(workdir)
  for other in compare:                       # a slip shows now and not after minutes
    runs.compare([other])
  run, restored = evaluate.open_checkpoint(config, workdir, mode='report')
  state, split, examples = restored.state, config.evaluation.split, config.evaluation.examples
  asked = {'step': restored.step, 'split': split, 'examples': examples,
           'examples_seed': config.evaluation.seed}
  if evaluation is None or asked != {name: evaluation.get(name) for name in asked}:
    tell('evaluation, which is missing, or of another step or other transitions')
    evaluation = evaluate.write_evaluation(run, state, config, workdir)

  report: dict = {'evaluation': evaluation, 'headline': headline.rows(evaluation)}
  tell('retrieval of every transition')
  table, _ = evaluate.measure(run, state, config, split=split, examples=examples)
  m = sections.Material(run, state, config, sizes)
  pictures: dict = {}
  report['retrieval'], pictures['failures'] = sections.actions_retrieved(m, table)
  tell('precision and stability of interventions')
  report['oracle'], reader = sections.judged(m, config, tell)
  tell('interventions in chains')
  pictures |= gallery.draw(run, state, config)
  pictures['traversals'] = sections.traversals(m)
  report['chains'] = sections.chained(m, reader)
  tell('plans')
  report['planning'], pictures['plans'] = sections.planned(m, config, tell)
  tell('graphs and masks')
  report['mechanisms'], pictures['mechanisms'] = sections.mechanisms(m)
  report['representation'], tables = sections.representation(m, config, tell)
  pictures |= tables
  report['curves'] = runs.curves(workdir)
  if compare:
    report['compare'] = runs.compare([workdir, *compare])
    report['compare']['agreement'] = seeds.agreement(
        m, pictures['mechanisms'], report['compare'], compare, tell)
  report['run'] = {
      'name': pathlib.Path(workdir).absolute().name, 'step': restored.step, 'seed': config.seed,
      'codebooks': run.model.quantizer.codebooks, 'codes': run.model.quantizer.codes,
      'grid': run.model.grid, 'image_shape': m.images.image_shape,
      'trained_seconds': restored.progress['seconds'],
      'trained_with': restored.progress['version'],
      'trained_on': restored.progress.get('device'), 'reported_on': provenance.device(),
      'revision': provenance.revision(), 'versions': provenance.versions(),
      'made': time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime()),
      'seconds': round(time.monotonic() - start, 1)}
  report['config'] = stored_config.to_json(config)
  report = runs.plain(report)
  html = page.render(report, pictures)
  folder = pathlib.Path(workdir)
  files.write_json(folder / 'report.json', report)
  files.write_text(folder / 'report.html', html)
  tell(f'{folder / "report.html"}, {len(html) / 2**20:.1f} MB')
  return report


def _teller(start: float) -> Callable[[str], None]:
  return lambda line: print(f'report {time.monotonic() - start:6.1f} s  {line}', flush=True)
