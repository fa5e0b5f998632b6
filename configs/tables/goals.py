"""Goals of the default model on dSprites, and the direct inverse model that it is to beat."""

from __future__ import annotations

from configs.tables.rows import (
    ALIKE, CALIBRATION, COPY, HELD_OUT, IMAGE, LOCAL, RETRIEVAL, cell, seeds)
from cvq.sweep.cells import Column
from cvq.sweep.goals import Figure, Goal


def goals() -> list[Goal]:
  """In the order of the page."""
  ours, inverse = seeds('dsprites', 'ours'), seeds('dsprites', 'inverse')
  of = lambda name, over=None, fold=None: Figure(Column('', name, fold), ours, over)
  action, factor, weakest = (Figure(column, ours) for column in RETRIEVAL)
  score = lambda name: of(f'disentanglement.trained.{name}')
  return [
      Goal('retrieval of the action', action, '≥', .985),
      Goal('retrieval of the factor', factor, '≥', .995),
      Goal('retrieval of the weakest factor', weakest, '≥', .95),
      Goal('calibration error', Figure(CALIBRATION, ours), '≤', .02),
      Goal('image after an action, MSE, over that of copying x', Figure(IMAGE, ours, COPY),
           '≤', 1 / 3),
      Goal('the same from the likeliest codes', of('evaluation.intervention.mse_codes', COPY),
           '≤', .5),
      Goal('precision of interventions', of('oracle.model.precision'), '≥', .9),
      Goal('stability of interventions', of('oracle.model.stability'), '≥', .95),
      Goal('reconstruction, MSE', of('evaluation.reconstruction.mse'), '≤', .003, 4),
      Goal('local variables changed in a step, over all',
           of('evaluation.codes.changed_per_step', Column('', 'evaluation.codes.variables')),
           '≤', .25, 2),
      Goal('global variables changed in a step', of('evaluation.global_level.changed_per_step'),
           '≤', 2, 1),
      Goal('DCI-D of the global codes', score('dci.disentanglement'), '≥', .7, 2),
      Goal('MIG of the global codes', score('mig.mig'), '≥', .6, 2),
      Goal('codes in use, of the least used codebook', of('evaluation.codes.usage', fold=min),
           '≥', .9, 2),
      Goal('unseen combinations, mean of actions, inverse model',
           *_against('compositional', HELD_OUT)),
      Goal('four steps, shown each true image, inverse model',
           of('multi_step.4.shown_search.identical'), '>',
           Figure(Column('', 'multi_step.4.shown.identical'), inverse)),
      Goal('1 % of the transitions, mean of actions, inverse model',
           *_against('pairs300', {'dataset__transitions_per_step': 300}))]


def _against(name: str, fields: dict) -> tuple[Figure, str, Figure]:
  """More of a variation's actions retrieved than by the inverse model."""
  ours, inverse = (Figure(ALIKE[0], (
      cell('dsprites', method, name, **fields, **LOCAL.get(method, {})),))
                   for method in ('ours', 'inverse'))
  return ours, '>', inverse
