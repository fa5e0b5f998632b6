"""Goals of the default model on dSprites, and the direct inverse model that it is to beat."""

from __future__ import annotations

from configs.tables.rows import (
    CALIBRATION, COPY, FEW, FEW_SHARE, HALF, IMAGE, RETRIEVAL, seeds, variation)
from cvq.sweep.cells import Column
from cvq.sweep.goals import Figure, Goal, Goals

# What was tried is told without figures where no cell gives them.
TRIED = (
    'Stability: missing are steps of shape, of which cvq draws a blur of the directions that an '
    'ellipse or a heart may point to. Muon helped (in the table of precision, beside Adam). '
    'Drawing the least likely of four predictions, not the first, helped a former default, by '
    'Adam; with Muon, in the table of our parts, it makes no difference after 1,200 steps. '
    'Of steps of shape alone, on frozen codes, two and three rounds of messages, twice the width, '
    'another hidden layer, a summary of the whole image and other rates and batches were tried, '
    'and none learned faster; all went on learning for as long as they were trained. Two '
    'alternatives of each action, two rounds and three times the steps are preset `:best`, in the '
    'table of precision: better, and still short of the goal.',
    'Few transitions: training retrieves all of its own pairs, and directions of shape steps are '
    'learned by heart. Weight decay, fewer joint steps, earlier checkpoints and the first target '
    'drawn were tried; none retrieves more of the test split. Pairs that the model makes itself, '
    'a step of another factor taken from both ends of a pair, were not tried.')


def goals() -> Goals:
  """Of the default, and of variations that the inverse model is compared on."""
  ours, inverse = seeds('dsprites', 'ours'), seeds('dsprites', 'inverse')
  of = lambda name, over=None, fold=None: Figure(Column('', name, fold), ours, over)
  action, factor, weakest = (Figure(column, ours) for column in RETRIEVAL)
  score = lambda name: of(f'disentanglement.trained.{name}')
  return Goals(
      'What we want of the default on dSprites, with 20 minutes of training steps on two CPU '
      'cores. A goal counts as met where the mean over our seeds meets it. In the last three rows '
      'it is to exceed the mean over the seeds of the inverse model. Of these the first and the '
      'last are without the global level; in four steps both are shown the true image after each '
      'action, and cvq plans anew. Unseen combinations: half of them. The narrowest block of that '
      'table, on which this goal was judged at first, has no steps of shape, and both methods '
      'make no mistake there. Few transitions: 300 pairs of a step, 1 % of all, were the goal; '
      'training gets 210 of them, 1.4 % of the 14,760 that it has otherwise, with both ends in '
      'it.', (
          Goal('retrieval of the action', action, '≥', .985),
          Goal('retrieval of the factor', factor, '≥', .995),
          Goal('retrieval of the weakest factor', weakest, '≥', .95),
          Goal('calibration error', Figure(CALIBRATION, ours), '≤', .02),
          Goal('image after an action, MSE, over that of copying x', Figure(IMAGE, ours, COPY),
               '≤', 1 / 3),
          Goal('image from the likeliest codes, MSE, over that of copying x',
               of('evaluation.intervention.mse_codes', COPY), '≤', .5),
          Goal('precision of interventions', of('oracle.model.precision'), '≥', .9),
          Goal('stability of interventions', of('oracle.model.stability'), '≥', .95),
          Goal('reconstruction, MSE', of('evaluation.reconstruction.mse'), '≤', .003, 4),
          Goal('share of local variables changed in a step',
               of('evaluation.codes.changed_per_step', Column('', 'evaluation.codes.variables')),
               '≤', .25, 2),
          Goal('global variables changed in a step', of('evaluation.global_level.changed_per_step'),
               '≤', 2, 1),
          Goal('DCI-D of the global codes', score('dci.disentanglement'), '≥', .7, 2),
          Goal('MIG of the global codes', score('mig.mig'), '≥', .6, 2),
          Goal('codes in use, of the least used codebook', of('evaluation.codes.usage', fold=min),
               '≥', .9, 2),
          Goal('unseen combinations, retrieval of the action, against the inverse model',
               *_against(RETRIEVAL[0], 'half', HALF)),
          Goal('four steps end at the target, against the inverse model',
               of('multi_step.4.shown_search.identical'), '>',
               Figure(Column('', 'multi_step.4.shown.identical'), inverse)),
          Goal(f'{FEW_SHARE} of the transitions, retrieval of the action, against the inverse '
               'model',
               *_against(RETRIEVAL[0], 'pairs300', FEW))), TRIED)


def _against(column: Column, name: str, fields: dict) -> tuple[Figure, str, Figure]:
  """More of a variation's actions retrieved than by the inverse model."""
  ours, inverse = (
      Figure(column, variation(method, name, **fields)) for method in ('ours', 'inverse'))
  return ours, '>', inverse
