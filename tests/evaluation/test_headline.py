"""Tests of cvq.evaluation.headline: every figure stands beside its baselines."""

import copy
import json
import re

from absl.testing import absltest
import numpy as np

from cvq.evaluation import headline
from cvq.evaluation import retrieval

NAMES = ('shape+1', 'scale+1', 'shape-1', 'scale-1')


def _evaluation() -> dict:
  actions = np.array([0, 0, 1, 2, 3, 3, 3, 3])
  chosen = np.array([0, 0, 1, 2, 3, 3, 3, 0])
  score = retrieval.score_retrieval(
      np.eye(4)[chosen], actions, NAMES, visible=np.arange(8) > 0)
  return {
      'retrieval': score,
      'intervention': {'mse': .0034, 'psnr': 25.31, 'ssim': .951, 'mse_codes': .006,
                       'copy_mse': .0121, 'reconstruction_mse': .0013},
      'reconstruction': {'mse': .00014, 'psnr': 29.04, 'ssim': .984},
      'codes': {'variables': 128, 'changed_per_step': 16.24, 'changed_positions': 9.9,
                'mask_size': 12., 'mask_precision': .81, 'mask_recall': .82,
                'usage': [1., .97], 'perplexity': [101.24, 88.]},
      'global_level': {'variables': 2, 'changed_per_step': 1.034, 'moved': .75, 'stayed': .9,
                       'moved_per_factor': {'shape': .5, 'scale': 1.}},
      'dataset': 'dsprites (rendered)', 'split': 'test', 'step': 3350, 'seed': 7,
      'seconds': 41.2, 'version': '0.1.0'}


def _line(text: str, start: str) -> list[str]:
  """Cells of the line that starts with a name."""
  [line] = [line for line in text.splitlines() if line.strip().startswith(start)]
  return re.split(r'\s{2,}', line.strip())


class HeadlineTest(absltest.TestCase):

  def test_global_level_tells_its_weakest_factor(self):
    text = headline.headline(_evaluation())
    self.assertEqual(_line(text, 'global codes')[1:],
                     ['1.03', 'of 2, in a step; 1 is that of the factor'])
    self.assertEqual(_line(text, 'that of the factor')[1:], ['0.750', 'weakest 0.500, shape'])
    self.assertEqual(_line(text, 'all others stayed')[1:], ['0.900'])
    none = {key: value for key, value in _evaluation().items() if key != 'global_level'}
    self.assertNotIn('global', headline.headline(none))

  def test_natural_majority_and_imbalance(self):
    evaluation = _evaluation()
    evaluation['retrieval'] |= {'natural_majority_directed': .31, 'natural_majority_factor': .52}
    evaluation['imbalanced'] = {
        'retrieval': evaluation['retrieval'] | {'directed': .7, 'majority_directed': .6},
        'intervention': {'mse': .002, 'copy_mse': .008}}
    text = headline.headline(evaluation)
    self.assertEqual(_line(text, 'retrieval of the action')[2],
                     'chance 0.250, majority 0.500 (not levelled: 0.310)')
    self.assertEqual(_line(text, 'drawn as in training: action')[1:], ['0.700', 'majority 0.600'])
    self.assertEqual(text.count('copying x 0.0080'), 1)
    self.assertNotIn('x and y', text)

  def test_transitions_between_different_scenes_are_said_to_be_such(self):
    text = headline.headline(_evaluation() | {'same_scene': False})
    self.assertEqual(_line(text, 'x and y')[1], 'differ')

  def test_figures_and_baselines(self):
    text = headline.headline(_evaluation())
    self.assertEqual(
        text.splitlines()[0],
        'dsprites (rendered), test split, 8 transitions; step 3,350, seed 7, cvq 0.1.0, 41 s')
    self.assertEqual(_line(text, 'retrieval of the action')[1:],
                     ['0.875', 'chance 0.250, majority 0.500'])
    self.assertEqual(_line(text, 'retrieval of the factor')[1:],
                     ['0.875', 'chance 0.500, majority 0.625'])
    self.assertEqual(_line(text, 'among the two likeliest')[1:],
                     ['0.917', 'chance 0.500; always copying x scores chance in each'])
    self.assertEqual(_line(text, 'visible pairs only')[1:],
                     ['0.857', 'factor 0.857; pixel-identical pairs left out: 1'])
    self.assertEqual(_line(text, 'weakest action')[1:], ['0.750', 'scale-1'])
    self.assertEqual(_line(text, 'weakest factor')[1:], ['0.800', 'scale'])
    self.assertEqual(_line(text, 'image after an action')[1:],
                     ['0.0034', 'copying x 0.0121, reconstructing y 0.0013'])
    self.assertEqual(_line(text, 'PSNR')[1:],
                     ['25.3 dB, 0.951', 'reconstructing y 29.0 dB, 0.984'])
    self.assertEqual(_line(text, 'reconstruction, MSE')[1:], ['0.00014'])
    self.assertEqual(_line(text, 'codes changed')[1:],
                     ['16.2', 'of 128, in 9.9 positions of the grid'])
    self.assertEqual(_line(text, 'codes in use')[1:],
                     ['97% to 100%', 'perplexity 88.0 to 101.2; 2 codebooks'])

  def test_columns_line_up_and_fit_a_terminal(self):
    lines = headline.headline(_evaluation()).splitlines()
    start = lines[1].index('to compare with')
    for line in lines[1:]:
      self.assertLessEqual(len(line), 100)
      self.assertEqual(line[start - 2:start].strip(), '', line)

  def test_what_is_unknown_has_no_line(self):
    evaluation = _evaluation()
    evaluation['retrieval'] |= {'invisible_pairs': None, 'directed_visible': None}
    del evaluation['intervention']['mse_codes'], evaluation['codes']['changed_positions']
    evaluation['codes'] |= {'mask_precision': None, 'usage': [.5], 'perplexity': [3.]}
    text = headline.headline(evaluation)
    for name in ('visible', 'from the likeliest', 'mask', 'grid', 'None', 'codebooks'):
      self.assertNotIn(name, text)
    self.assertEqual(_line(text, 'codes in use')[1:], ['50%', 'perplexity 3.0'])

  def test_reads_what_json_gives_back_and_changes_nothing(self):
    evaluation = _evaluation()
    before = copy.deepcopy(evaluation)
    text = headline.headline(evaluation)
    self.assertEqual(evaluation, before)
    self.assertEqual(headline.headline(json.loads(json.dumps(evaluation))), text)


if __name__ == '__main__':
  absltest.main()
