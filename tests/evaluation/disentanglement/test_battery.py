"""All metrics at once: what is run, on how much, and what is said where a metric cannot."""

import numpy as np
import pytest

from cvq.evaluation.disentanglement import battery as b


@pytest.fixture(name='factors')
def fixture_factors():
  rng = np.random.default_rng(0)
  return np.stack([rng.integers(3, size=900), rng.integers(4, size=900)], axis=-1)


def test_true_factors_score_high_and_constant_ones_are_left_out(factors):
  with_constant = np.concatenate([factors, np.ones((900, 1), int)], axis=-1)
  told = []
  found = b.battery(factors, with_constant, tell=told.append)
  assert set(found) == {*b.CHEAP, *b.SLOW} and len(told) == len(found)
  assert found['mig']['scores']['mig'] > .98
  assert found['dci']['scores']['disentanglement'] > .98
  assert all(row['samples'] == 900 and row['seconds'] >= 0 for row in found.values())


def test_wide_representations_get_fewer_samples_for_slow_metrics(factors, monkeypatch):
  asked = {}
  monkeypatch.setattr(b, 'CHEAP', {'mig': b.mig})
  for name in b.SLOW:
    monkeypatch.setitem(b.SLOW, name, lambda x, y, seed, name=name, **sizes:
                        asked.update({name: sizes}) or {})
  wide = np.random.default_rng(1).integers(5, size=(900, b.WIDE + 1))
  found = b.battery(wide, factors)
  assert asked['infomec'] == {'samples': 1500} and asked['dci'] == {'train': 1000, 'test': 500}
  b.battery(wide[:, :b.WIDE], factors)
  assert asked['dci'] == {}
  assert found['mig']['samples'] == 900
  many = np.zeros((20_000, 1), int), np.arange(20_000)[:, None] % 2
  monkeypatch.setattr(b, 'CHEAP', dict.fromkeys(('mig', 'beta_vae'), lambda x, y, seed: {}))
  samples = {name: row['samples'] for name, row in b.battery(*many).items()}
  assert samples == dict.fromkeys(b.SLOW, 15_000) | {
      'mig': 10_000, 'beta_vae': 15_000, 'infomec': 10_000}


def test_what_cannot_be_scored_is_a_note_and_not_a_number(factors):
  found = b.battery(factors[:, :1], factors, cheap=True)
  assert set(found) == set(b.CHEAP)
  assert found['mig']['scores'] == {} and 'at least 2' in found['mig']['notes'][0]
  constant = b.battery(np.zeros_like(factors), factors, cheap=True)
  assert any('constant' in note for note in constant['irs']['notes'])
