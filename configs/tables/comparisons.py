"""Our default beside the baselines."""

from __future__ import annotations

import dataclasses

from configs.tables.rows import (
    CALIBRATION, COPY, DATASETS, DRAWING, FEW, FEW_SHARE, HALF, HELD_OUT, IMAGE, IMBALANCED, NAMES,
    RETRIEVAL, SHARE, THIRD, WITHOUT, across, cell, plain, seeds, variation, varied)
from cvq.sweep.cells import Chart, Column, Row, Table


# Of the baselines with latents; the one that is best as published is shown with actions too.
APART = (" The encoders of the paper's method, beta-VAE, Ada-GVAE and QLAE learn without actions, "
         'as published; only the transition in their latent space learns from these, but in the '
         'row "trained by actions" (`model.joint`). All of cvq does.')
TRAINED = NAMES['ada_gvae'] + ', trained by actions'
JOINT = Row((DATASETS['dsprites'], TRAINED), variation('ada_gvae', 'joint', model__joint=True))
BEST = Row((DATASETS['dsprites'], 'cvq, preset `:best`'), (
    dataclasses.replace(*variation('ours', 'best'), config='configs/dsprites.py:best'),))


def retrieval() -> Table:
  return Table(
      'retrieval', 'Retrieval',
      'Which action turned x into y? Chance is 1 / actions: .10 on dSprites, .083 on '
      'Shapes3D, .056 on Sprites.' + APART + WITHOUT, ('dataset', 'method'),
      (*RETRIEVAL, CALIBRATION, Column('chance', 'evaluation.retrieval.chance'),
       Column('majority', 'evaluation.retrieval.majority_directed')),
      (*plain(tuple(NAMES)), BEST, JOINT))


def interventions() -> Table:
  return Table(
      'interventions', 'Interventions',
      'The image after an action, against the true one; copying x is the floor, '
      'reconstructing y the ceiling. An inverse model generates nothing.' + APART + WITHOUT,
      ('dataset', 'method'),
      (IMAGE, COPY,
       Column('reconstructing y, MSE', 'evaluation.intervention.reconstruction_mse',
              digits=4),
       Column('PSNR', 'evaluation.intervention.psnr', digits=1),
       Column('SSIM', 'evaluation.intervention.ssim'),
       Column('variables', 'evaluation.codes.variables', digits=0),
       Column('changed in a step', 'evaluation.codes.changed_per_step', digits=1)),
      (*plain(DRAWING), BEST, JOINT))


def _scores() -> tuple[Column, ...]:
  return tuple(Column(title, f'{{level}}.{{of}}.{name}', digits=2) for title, name in (
      ('DCI-D', 'dci.disentanglement'), ('DCI-C', 'dci.completeness'), ('MIG', 'mig.mig'),
      ('SAP', 'sap.sap'), ('FactorVAE', 'factor_vae.factor_vae'),
      ('BetaVAE', 'beta_vae.beta_vae'), ('modularity', 'modularity_explicitness.modularity'),
      ('IRS', 'irs.irs'), ('InfoM', 'infomec.modularity'), ('InfoC', 'infomec.compactness'),
      ('InfoE', 'infomec.explicitness')))


def disentanglement() -> Table:
  words = lambda level='disentanglement', of='trained': {'level': level, 'of': of}
  row = lambda dataset, method, what='', **how: Row(
      (DATASETS[dataset], NAMES[method] + what), seeds(dataset, method), words(**how))

  def of_dataset(dataset):
    for method in DRAWING:
      yield row(dataset, method)
      if method == 'ours':
        yield row(dataset, method, ', local codes', level='disentanglement.local')
      yield row(dataset, method, ', untrained', of='untrained')

  return Table(
      'disentanglement', 'Disentanglement',
      'Metrics of the representation: codes of the global level of cvq, besides its local codes, '
      'codes of QLAE and of the paper, posterior means of the VAEs. What the encoders learn from '
      'differs: the global level of cvq from pairs with their actions, as does Ada-GVAE where it '
      'says so; Ada-GVAE otherwise from pairs alone; '
      "beta-VAE, QLAE and the paper's autoencoder from single images. On 15,000 images of the "
      'whole dataset, as is usual, 70 % of them of training; metrics that train split them anew. '
      'Above 64 columns (local codes) DCI, SAP, modularity and the three of InfoMEC get a tenth of '
      'the images, with which counted information is too large. InfoE is judged on the rows that '
      'it is fitted to, as published, which flatters many columns: the 64 of the paper would have '
      '.45 without any information, and local codes 1.00. Untrained: the same encoder at its '
      'start, of which baselines have the cheap metrics alone; IRS may score it far above 0.',
      ('dataset', 'representation'),
      (Column('columns', '{level}.columns', digits=0), *_scores()),
      (*of_dataset('dsprites'), Row(JOINT.labels, JOINT.cells, words()),
       *of_dataset('shapes3d')), ('disentanglement',))


def true_factors() -> Table:
  return Table(
      'true_factors', 'The same metrics of the true factors',
      'On the same images: the true factors as their own representation, and folded: every value '
      'is the lowest one that looks like it, by less than half a step of that factor (a square '
      'after a quarter turn, which is 9.75 steps). Neither is a bound: such halves of a step can '
      'be told from many images, and a representation that lacks a factor may score higher still '
      'by IRS and InfoM.',
      ('dataset', 'representation'), _scores(),
      tuple(Row((DATASETS[dataset], label), (cell(dataset, 'ours'),),
                {'level': 'true_factors', 'of': of})
            for dataset in ('dsprites', 'shapes3d')
            for label, of in (('true factors', 'whole'), ('folded', 'folded'))),
      ('true_factors',), of_runs=False)


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
  figure = lambda title, name: Column(title, f'oracle.{name}')
  of_imbalance = 'dSprites, imbalance'
  return Table(
      'precision', 'Precision and stability of interventions',
      'A small network, trained on the training images alone, reads the factors off the image '
      'after an action. The intervention is precise where the asked factor is read as that of the '
      'true image y, and stable where all other factors are; a value that looks the same counts as '
      'right. Reconstruction: of y, what the decoder allows; true images: y itself, what the '
      'reader allows; foreseeable: the best single guess for one who cannot tell x from its '
      'look-alikes (a square after a quarter turn), which may lead to other images; they differ, '
      'by less than half a step, so who tells some of them apart can do better. By Adam: with '
      '`train.optimizer=adam`. The last rows are of training data imbalanced as above.' + WITHOUT,
      ('dataset', 'method'),
      (figure('precision', 'model.precision'), figure('stability', 'model.stability'),
       figure('both', 'model.both'),
       figure('reconstruction, precision', 'reconstruction.precision'),
       figure('reconstruction, stability', 'reconstruction.stability'),
       figure('true images, precision', 'truth.precision'),
       figure('true images, stability', 'truth.stability'),
       figure('foreseeable stability', 'foreseeable.stability')),
      plain(DRAWING, ('dsprites',)) + (
          Row(('dSprites', 'cvq, by Adam'),
              variation('ours', 'adam', train__optimizer='adam')), BEST) + tuple(
          Row((f'{of_imbalance} {row.labels[0]}', row.labels[1]), row.cells)
          for row in imbalanced('ours')),
      ('oracle',),
      tuple(across(
          f'imbalance-{short}-precision',
          f'Precision of interventions, {of} imbalanced in training',
          f'most to least frequent value of {of}', 'precision', figure('', 'model.precision'),
          {f'{of_imbalance} 1': '1', f'{of_imbalance} 10, {of}': '10',
           f'{of_imbalance} 100, {of}': '100'}, ('ours',))
          for short, of in IMBALANCED))


def compositional() -> Table:
  return Table(
      'compositional', 'Unseen combinations',
      'dSprites; a block of combinations is never seen in training, and the test split is made of '
      'it alone: 1/6, hearts (shape 2) in the right half (posX 16 to 31), 1/3, ellipses as well '
      '(shape 1 and 2), and 1/2, both from posX 8 on. In the first no step is one of shape, the '
      'action that is retrieved least well elsewhere. No block: the random split. Of the baselines '
      'with latents, the one that is best there, on the first block.' + WITHOUT,
      ('block', 'method'), (*RETRIEVAL, IMAGE, COPY),
      (*varied({('', 'none'): {}, ('compositional', '1/6'): HELD_OUT},
               ('ours', 'inverse', 'ada_gvae')),
       *varied({('third', '1/3'): THIRD, ('half', '1/2'): HALF}, ('ours', 'inverse'))),
      charts=(across(
          'compositional', 'Actions retrieved on a block of combinations that training lacks',
          'share of the block, where it has steps of every factor', SHARE, RETRIEVAL[0],
          {'none': 'no block', '1/3': '1/3', '1/2': '1/2'}, ('ours', 'inverse')),))


def multi_step() -> Table:
  lengths = 2, 4, 8
  hows = {'search': 'beam', 'greedy': 'greedy', 'shown': 'shown', 'shown, search': 'shown_search'}
  column = lambda n, how: Column(f'{n} steps, {how}', f'multi_step.{n}.{hows[how]}.identical')
  line = lambda name, method, how: (name, tuple(
      ((DATASETS['dsprites'], NAMES[method]), column(n, how)) for n in lengths))
  return Table(
      'multi_step', 'Several steps',
      '128 pairs of test images that a random walk of n actions joins, the same for all rows and '
      'seeds (a share of .5 has a standard error of .04, one of .9 of .03): how often the '
      'retrieved sequence, carried out on the true factors, ends at the target, pixel for pixel. '
      "Search: by beam search over the model's own predictions; greedy: by a beam of one. Shown: "
      'the true image is shown to the model after each of its actions, which is more to go by; '
      'it takes the likeliest one again or (search) the first of a new plan of at most 4. The '
      'search of cvq counts the steps that its global level sees left to go; an inverse model '
      'predicts no image, so it has no search. cvq draws and encodes again what it expects after '
      'each action, and compares codes and pixels; beta-VAE, Ada-GVAE and QLAE go on from '
      'predicted latents and compare these.',
      ('dataset', 'method'),
      tuple(column(n, how) for n in lengths for how in hows),
      plain(('ours', 'inverse', 'beta_vae', 'ada_gvae', 'qlae'), ('dsprites', 'shapes3d')),
      ('multi_step',),
      (Chart('multi_step', 'Sequences of actions that end at the target image, dSprites',
             'actions in a row', 'share that ends at the target', tuple(map(str, lengths)),
             (line('cvq', 'ours', 'search'), line('cvq, shown, search', 'ours', 'shown, search'),
              line('inverse, shown', 'inverse', 'shown')),
             from_zero=True),))


def sample_efficiency() -> Table:
  return Table(
      'sample_efficiency', 'Fewer transitions',
      'dSprites; n pairs of every factor step, of which training has its 70 %, where otherwise it '
      'has all pairs of training images, 14,760 a step on average. The evaluation has any pairs of '
      'test images, as in other tables.' + WITHOUT,
      ('pairs of a factor step', 'method'), (*RETRIEVAL, IMAGE),
      varied({('', 'all'): {},
              ('pairs3000', '3,000 (14 %)'): {'dataset__transitions_per_step': 3000},
              ('pairs300', f'300 ({FEW_SHARE})'): FEW}, ('ours', 'inverse')),
      charts=(across(
          'sample_efficiency', 'Actions retrieved with fewer transitions',
          'share of the transitions', SHARE, RETRIEVAL[0],
          {f'300 ({FEW_SHARE})': FEW_SHARE, '3,000 (14 %)': '14 %', 'all': 'all'},
          ('ours', 'inverse')),))
