"""Our model and the paper's method, changed in one thing each."""

from __future__ import annotations

from configs.tables.rows import (
    COPY, FEW, FEW_SHARE, HELD_OUT, IMAGE, RETRIEVAL, SHORT, WITHOUT, variation, varied)
from cvq.sweep.cells import Column, Row, Table


def short(variations: dict[tuple[str, str], dict]) -> dict[tuple[str, str], dict]:
  """The variations, trained for fewer steps than the default model; of which they may tell."""
  return {names: {'train__steps': SHORT} | fields for names, fields in variations.items()}


def of_one(method: str, variations: dict[tuple[str, str], dict]) -> tuple[Row, ...]:
  """A row for each variation of one method."""
  return tuple(Row(row.labels[:1], row.cells) for row in varied(variations, (method,)))


def ablations() -> Table:
  variations = {
      ('short', 'the default model'): {},
      ('short_attention', 'messages by attention'): {'model__transition__messages': 'attention'},
      ('short_first', 'the first target drawn, not the least likely'): {
          'train__predicted': 'first'},
      ('short_adam', 'Adam for all parameters'): {'train__optimizer': 'adam'},
      ('one_codebook', 'one codebook of 128 codes'): {'model__quantizer__codebooks': 1},
      ('few_codes', '32 codes in each codebook'): {'model__quantizer__codes': 32},
      ('no_revival', 'dead codes stay dead'): {'model__quantizer__revive_every': 0},
      ('entropy', 'dead codes stay dead, entropy regularised (weight 1)'): {
          'model__quantizer__revive_every': 0, 'loss__code_entropy': 1.},
      ('ema', 'codes by moving averages'): {'model__quantizer__learning': 'ema'},
      ('rotation', 'gradient by the rotation trick'): {'model__quantizer__gradient': 'rotation'},
      ('no_margin', 'patches without margin'): {'model__encoder__margin': 0},
      ('no_image_loss', 'no loss on the predicted image'): {'loss__action_image': 0.},
      ('no_nll', 'no likelihood of the codes'): {'loss__action_nll': 0.},
      ('no_retrieval', 'no loss on the posterior'): {'loss__retrieval': 0.},
      ('two_rounds', 'two rounds of messages'): {'model__transition__rounds': 2},
      ('forward', 'posterior from x to y alone'): {'model__posterior': 'forward'},
      ('every_drawn', 'all four targets drawn, in fewer steps'): {
          'train__drawn': 4, 'train__steps': 750},
      ('one_target', 'one target for each x, 64 x; a step takes three times as long'): {
          'train__targets': 1, 'train__batch_size': 64},
      ('frozen', 'autoencoder first, then frozen'): {
          'pretrain__steps': 675, 'train__steps': 675, 'train__trainable': 'transition'}}
  return Table(
      'ablations', 'Our parts, one by one',
      f'dSprites, the default model with what is said changed, each after {SHORT:,} joint steps '
      'instead of 3,850, where it is not as good yet.' + WITHOUT,
      ('model',),
      (*RETRIEVAL, IMAGE,
       Column('from the likeliest codes', 'evaluation.intervention.mse_codes', digits=4),
       Column('reconstruction, MSE', 'evaluation.reconstruction.mse', digits=4),
       Column('codes changed', 'evaluation.codes.changed_per_step', digits=1),
       Column('least codebook in use', 'evaluation.codes.usage', fold=min, digits=2)),
      of_one('ours', short(variations)))


def graph() -> Table:
  edges = {
      ('short', 'learned'): {},
      ('none', 'none: every node its own parent'): {'model__transition__edges': 'none'},
      ('all', 'all: every node within reach a parent'): {'model__transition__edges': 'all'},
      ('sparse', 'learned, and few'): {'loss__graph_size': .01}}
  splits = {('', 'random'): {}, ('compositional', 'unseen combinations'): HELD_OUT,
            ('pairs300', f'random, {FEW_SHARE} of the transitions'): FEW}
  return Table(
      'graph', 'Does the graph earn its place?',
      f'dSprites, after {SHORT:,} joint steps instead of 3,850: the default layer with other '
      'edges, on the splits of other tables. Parents: expected number, of a node beside itself, of '
      '17 within reach on average. Learned and few: with a weight of .01 on the number of '
      'parents (`loss.graph_size`).' + WITHOUT,
      ('edges', 'split'),
      (*RETRIEVAL, IMAGE, Column('parents', 'evaluation.codes.parents', digits=1)),
      tuple(Row((of, where), variation(
          'ours', '-'.join(filter(None, (name, split))), **fields, **part))
            for (name, of), fields in short(edges).items()
            for (split, where), part in splits.items()))


def mistakes() -> Table:
  of = {
      '': 'none of them',
      'silent_action': 'the action sends no messages',
      'mask_of_parents': 'the mask replaces edges out of its variables',
      'clamped': 'probabilities clamped at 1e-4',
      'drawn_in_evaluation': 'masks and graphs drawn in evaluation'}
  return Table(
      'mistakes', 'Mistakes of the published code, put back',
      "dSprites, the paper's method, reduced as in the tables above, with one mistake of its "
      'published code (`model.transition.mistake`). One seed each: differences of some hundredths '
      'may be chance.',
      ('mistake',), (*RETRIEVAL, IMAGE, COPY),
      of_one('paper', {(short, long): {'model__transition__mistake': short} if short else {}
                       for short, long in of.items()}))
