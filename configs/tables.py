"""The tables of docs/results.md: which runs, which figures. Run by `python -m cvq.sweep`."""

from __future__ import annotations

import statistics
from typing import Any

from cvq.sweep.cells import Cell, Chart, Column, Row, Table

NAMES = {
    'ours': 'cvq', 'paper': 'Gendron et al. 2023, mended, reduced', 'inverse': 'inverse model',
    'beta_vae': 'beta-VAE', 'ada_gvae': 'Ada-GVAE', 'qlae': 'QLAE'}
DATASETS = {'dsprites': 'dSprites', 'shapes3d': 'Shapes3D', 'sprites': 'Sprites'}
# Headline rows; every other one has seed 0 alone.
SEEDS = {('dsprites', 'ours'): (0, 1, 2), ('shapes3d', 'ours'): (0, 1, 2),
         ('sprites', 'ours'): (0, 1, 2), ('dsprites', 'inverse'): (0, 1, 2)}
# Without the global level, where fields differ from the default's.
WITHOUT = ' cvq is without its global level.'
# Hearts in the right half.
HELD_OUT = {'dataset__splits': 'compositional', 'dataset__held_out': 'shape=2-2,posX=16-31'}
SHORT = 1200             # joint steps of variations of our own model
LOCAL = {'ours': {'model__global_level__codes': 0, 'train_global__steps': 0}}

IMBALANCED = ('scale', 'scale'), ('all', 'all factors')          # of names and of readers

RETRIEVAL = (
    Column('action', 'evaluation.retrieval.directed'),
    Column('factor', 'evaluation.retrieval.factor'),
    Column('weakest factor', 'evaluation.retrieval.per_factor', fold=min))
# Where the pairs of evaluation have more of some actions than of others.
ALIKE = (
    Column('mean of actions', 'evaluation.retrieval.per_action', fold=statistics.fmean),
    Column('mean of factors', 'evaluation.retrieval.per_factor', fold=statistics.fmean),
    RETRIEVAL[-1])
CALIBRATION = Column('calibration error', 'evaluation.retrieval.expected_calibration_error')
IMAGE = Column('image after an action, MSE', 'evaluation.intervention.mse', digits=4)
SHARE = 'actions retrieved, share'
COPY = Column('copying x, MSE', 'evaluation.intervention.copy_mse', digits=4)


def cell(dataset: str, method: str, variation: str = '', seed: int = 0, **fields: Any) -> Cell:
  """A run; `fields` are dotted names with '__' for '.'."""
  config = (f'configs/{dataset}.py' if method == 'ours'
            else f'configs/baselines/{method}.py:{dataset}')
  name = '-'.join(part for part in (dataset, method, variation, f'seed{seed}') if part)
  return Cell(name, config, tuple(
      (field.replace('__', '.'), value) for field, value in fields.items()), seed)


def seeds(dataset: str, method: str) -> tuple[Cell, ...]:
  """The plain runs of a method."""
  return tuple(cell(dataset, method, seed=seed) for seed in SEEDS.get((dataset, method), (0,)))


def plain(methods: tuple[str, ...], datasets: tuple[str, ...] = tuple(DATASETS)
          ) -> tuple[Row, ...]:
  """A row for each dataset and method."""
  return tuple(Row((DATASETS[d], NAMES[m]), seeds(d, m)) for d in datasets for m in methods)


def varied(variations: dict[tuple[str, str], dict], methods: tuple[str, ...]) -> tuple[Row, ...]:
  """A row for each variation of dSprites and method; variations are (short, long) -> fields.

  Ours goes without its global level, which is trained last, on the frozen rest: no figure of
  these tables is its.
  """
  return tuple(
      Row((long, NAMES[m]), (cell('dsprites', m, short, **fields, **LOCAL.get(m, {})),) if fields
          else seeds('dsprites', m)[:1])
      for (short, long), fields in variations.items() for m in methods)


def across(name: str, title: str, x: str, y: str, column: Column, places: dict[str, str],
           methods: tuple[str, ...]) -> Chart:
  """A line for each method through rows of a varied table; places are first label -> name."""
  return Chart(name, title, x, y, tuple(places.values()), tuple(
      (NAMES[m], tuple(((label, NAMES[m]), column) for label in places)) for m in methods))


def imbalanced(*methods: str) -> tuple[Row, ...]:
  """A row for each ratio and method, the ratio 1 first."""
  ratio = lambda text: {'dataset__imbalance': text}
  return varied({('', '1'): {},
                 ('scale10', '10, scale'): ratio('scale=10'),
                 ('scale100', '100, scale'): ratio('scale=100'),
                 ('all10', '10, all factors'): ratio('10'),
                 ('all100', '100, all factors'): ratio('100')}, methods)


def imbalance() -> Table:
  return Table(
      'imbalance', 'Imbalanced training data',
      'dSprites; the values of one factor (scale), or of every factor, are drawn in training with '
      'geometric frequencies, the most frequent one so many times as often as the least. '
      'Evaluation is balanced.' + WITHOUT,
      ('most to least frequent', 'method'), (*RETRIEVAL, IMAGE),
      imbalanced('ours', 'inverse'),
      charts=tuple(
          across(f'imbalance-{short}-{name}', f'{what}, {of} imbalanced in training',
                 f'most to least frequent value of {of}', y, column,
                 {'1': '1', f'10, {of}': '10', f'100, {of}': '100'}, methods)
          for short, of in IMBALANCED
          for name, what, y, column, methods in (
              ('action', 'Actions retrieved', SHARE, RETRIEVAL[0], ('ours', 'inverse')),
              ('image', 'Image after an action', 'MSE', IMAGE, ('ours',)))))


def precision() -> Table:
  drawing = tuple(name for name in NAMES if name != 'inverse')
  figure = lambda title, name: Column(title, f'oracle.{name}')
  of_imbalance = 'dSprites, imbalance'
  return Table(
      'precision', 'Precision and stability of interventions',
      'A small network, trained on the training images alone, reads the factors off the image '
      'after an action. Precise: the asked factor is that of the true image, or looks the same; '
      'stable: all others are. True images: what the reader allows; foreseeable: the best guess '
      'for one who sees x, as look-alikes of x (a square after a quarter turn) may lead to other '
      'images. Then cvq, without its global level, where training data were imbalanced as above.',
      ('dataset', 'method'),
      (figure('precision', 'model.precision'), figure('stability', 'model.stability'),
       figure('both', 'model.both'),
       figure('reconstruction, precision', 'reconstruction.precision'),
       figure('reconstruction, stability', 'reconstruction.stability'),
       figure('true images, precision', 'truth.precision'),
       figure('true images, stability', 'truth.stability'),
       figure('foreseeable stability', 'foreseeable.stability')),
      plain(drawing, ('dsprites',)) + tuple(
          Row((f'{of_imbalance} {row.labels[0]}', row.labels[1]), row.cells)
          for row in imbalanced('ours')[1:]),
      ('oracle',),
      tuple(across(
          f'imbalance-{short}-precision',
          f'Precision of interventions, {of} imbalanced in training',
          f'most to least frequent value of {of}', 'precision', figure('', 'model.precision'),
          {DATASETS['dsprites']: '1', f'{of_imbalance} 10, {of}': '10',
           f'{of_imbalance} 100, {of}': '100'}, ('ours',))
          for short, of in IMBALANCED))


def compositional() -> Table:
  return Table(
      'compositional', 'Unseen combinations',
      'dSprites; hearts (shape 2) in the right half (posX 16 to 31) are never seen in training, '
      'and the test split is made of them alone: actions that keep to it are all but those of '
      'shape, some seen more often than others; in the means every action counts alike. '
      'Beside it the random split.' + WITHOUT,
      ('split', 'method'), (*ALIKE, IMAGE, COPY),
      varied({('', 'random'): {},
              ('compositional', 'compositional'): HELD_OUT},
             ('ours', 'inverse', 'beta_vae', 'ada_gvae', 'qlae')))


def multi_step() -> Table:
  lengths = 2, 4, 8
  hows = {'search': 'beam', 'greedy': 'greedy', 'shown': 'shown', 'shown, search': 'shown_search'}
  column = lambda n, how: Column(f'{n} steps, {how}', f'multi_step.{n}.{hows[how]}.identical')
  line = lambda name, method, how: (name, tuple(
      ((DATASETS['dsprites'], NAMES[method]), column(n, how)) for n in lengths))
  return Table(
      'multi_step', 'Several steps',
      'Pairs of test images that a random walk of n actions joins: how often the retrieved '
      'sequence, carried out on the true factors, ends at the target, pixel for pixel. Search: by '
      "beam search over the model's own predictions; greedy: by a beam of one. Shown: the true "
      'image is shown to the model after each of its actions, which is more to go by; it takes the '
      'likeliest one again or (search) the first of a new plan of at most 4. The search of cvq '
      'counts the steps that its global level sees left to go; an inverse model predicts no image, '
      'so it has no search.',
      ('dataset', 'method'),
      tuple(column(n, how) for n in lengths for how in hows),
      plain(('ours', 'inverse', 'beta_vae', 'ada_gvae', 'qlae'), ('dsprites', 'shapes3d')),
      ('multi_step',),
      (Chart('multi_step', 'Sequences of actions that end at the target image, dSprites',
             'actions in a row', 'share that ends at the target', tuple(map(str, lengths)),
             (line('cvq', 'ours', 'search'), line('cvq, shown', 'ours', 'shown, search'),
              line('inverse, shown', 'inverse', 'shown')),
             from_zero=True),))


def short(variations: dict[tuple[str, str], dict]) -> dict[tuple[str, str], dict]:
  """The variations, trained for fewer steps than the default model; of which they may tell."""
  return {names: {'train__steps': SHORT} | fields for names, fields in variations.items()}


def ablations() -> Table:
  without = {
      ('short', 'the default model'): {},
      ('one_codebook', 'one codebook of 128 codes'): {'model__quantizer__codebooks': 1},
      ('few_codes', '32 codes in each codebook'): {'model__quantizer__codes': 32},
      ('no_revival', 'dead codes stay dead'): {'model__quantizer__revive_every': 0},
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
      ('one_target', 'one target for each x, 64 x'): {
          'train__targets': 1, 'train__batch_size': 64},
      ('frozen', 'autoencoder first, then frozen'): {
          'pretrain__steps': 675, 'train__steps': 675, 'train__trainable': 'transition'}}
  return Table(
      'ablations', 'Our parts, one by one',
      f'dSprites, the default model with one thing changed, each after {SHORT:,} joint steps '
      'instead of 3,850, where it is not as good yet.' + WITHOUT,
      ('model', 'method'),
      (*RETRIEVAL, IMAGE,
       Column('from the likeliest codes', 'evaluation.intervention.mse_codes', digits=4),
       Column('reconstruction, MSE', 'evaluation.reconstruction.mse', digits=4),
       Column('codes changed', 'evaluation.codes.changed_per_step', digits=1),
       Column('least codebook in use', 'evaluation.codes.usage', fold=min, digits=2)),
      varied(short(without), ('ours',)))


def graph() -> Table:
  edges = {
      ('short', 'learned'): {},
      ('none', 'none: every node its own parent'): {'model__transition__edges': 'none'},
      ('all', 'all: every node a parent of every node'): {'model__transition__edges': 'all'},
      ('sparse', 'learned, and few'): {'loss__graph_size': .01}}
  splits = {('', 'random'): {}, ('compositional', 'unseen combinations'): HELD_OUT,
            ('pairs300', 'random, 1 % of the transitions'): {'dataset__transitions_per_step': 300}}
  return Table(
      'graph', 'Does the graph earn its place?',
      f'dSprites, after {SHORT:,} joint steps instead of 3,850: the default layer with other '
      'edges, on the splits of other tables. Parents: expected number, of a node beside itself, of '
      '63. Learned and few: with a weight on the number of parents (`loss.graph_size`) of .01.'
      + WITHOUT,
      ('edges', 'split'), (*ALIKE, IMAGE, Column('parents', 'evaluation.codes.parents', digits=1)),
      tuple(Row((of, where), (cell('dsprites', 'ours', '-'.join(filter(None, (name, split))),
                                   **fields, **LOCAL['ours'], **part),))
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
      'published code (`model.transition.mistake`).',
      ('mistake', 'method'), (*RETRIEVAL, IMAGE, COPY),
      varied({(short, long): {'model__transition__mistake': short} if short else {}
              for short, long in of.items()}, ('paper',)))


def sample_efficiency() -> Table:
  # 108 factor steps: n pairs of each are that share of the 3,253,248 pairs of the grid.
  share = lambda pairs: {'dataset__transitions_per_step': pairs}
  return Table(
      'sample_efficiency', 'Fewer transitions',
      'dSprites; n pairs of every factor step in all splits together, 70 % of them for training. '
      'The evaluation draws on the same n, so it has other pairs, more of some actions than of '
      'others; in the means every action counts alike.' + WITHOUT,
      ('pairs of a factor step', 'method'), (*ALIKE, IMAGE),
      varied({('', 'all'): {},
              ('pairs3000', '3,000 (10 %)'): share(3000),
              ('pairs300', '300 (1 %)'): share(300)}, ('ours', 'inverse')),
      charts=(across(
          'sample_efficiency', 'Actions retrieved, mean of actions, with fewer transitions',
          'share of the transitions', SHARE, ALIKE[0],
          {'300 (1 %)': '1 %', '3,000 (10 %)': '10 %', 'all': 'all'}, ('ours', 'inverse')),))


def tables() -> list[Table]:
  """All tables, in the order of the page."""
  every, drawing = tuple(NAMES), tuple(name for name in NAMES if name != 'inverse')
  score = lambda title, name: Column(title, f'disentanglement.trained.{name}', digits=2)
  return [
      Table('retrieval', 'Retrieval',
            'Which action turned x into y? Chance is 1 / actions: .10 on dSprites, .083 on '
            'Shapes3D, .056 on Sprites.', ('dataset', 'method'),
            (*RETRIEVAL, CALIBRATION, Column('chance', 'evaluation.retrieval.chance'),
             Column('majority', 'evaluation.retrieval.majority_directed')), plain(every)),
      Table('interventions', 'Interventions',
            'The image after an action, against the true one; copying x is the floor, '
            'reconstructing y the ceiling. An inverse model generates nothing.',
            ('dataset', 'method'),
            (IMAGE, COPY,
             Column('reconstructing y, MSE', 'evaluation.intervention.reconstruction_mse',
                    digits=4),
             Column('PSNR', 'evaluation.intervention.psnr', digits=1),
             Column('SSIM', 'evaluation.intervention.ssim'),
             Column('variables', 'evaluation.codes.variables', digits=0),
             Column('changed in a step', 'evaluation.codes.changed_per_step', digits=1)),
            plain(drawing)),
      Table('disentanglement', 'Disentanglement',
            'Metrics of the representation: codes of the global level of cvq, codes of QLAE and of '
            'the paper, posterior means of the VAEs. Beside them the local codes of cvq. Above 64 '
            'columns the classifiers get 1,000 images to train on instead of 10,000.',
            ('dataset', 'method'),
            (Column('columns', 'disentanglement.columns', digits=0),
             score('DCI-D', 'dci.disentanglement'), score('DCI-C', 'dci.completeness'),
             score('MIG', 'mig.mig'), score('SAP', 'sap.sap'),
             score('FactorVAE', 'factor_vae.factor_vae'), score('BetaVAE', 'beta_vae.beta_vae'),
             score('modularity', 'modularity_explicitness.modularity'), score('IRS', 'irs.irs'),
             score('InfoM', 'infomec.modularity'), score('InfoC', 'infomec.compactness'),
             score('InfoE', 'infomec.explicitness'),
             Column('MIG, untrained', 'disentanglement.untrained.mig.mig', digits=2),
             Column('local DCI-D', 'disentanglement.local.trained.dci.disentanglement', digits=2),
             Column('local MIG', 'disentanglement.local.trained.mig.mig', digits=2)),
            plain(drawing, ('dsprites', 'shapes3d')), ('disentanglement',)),
      imbalance(), precision(), compositional(), multi_step(), ablations(), graph(),
      sample_efficiency(), mistakes()]
