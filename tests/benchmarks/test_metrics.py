"""The benchmark of the metrics has the representations that it names, and runs."""

import sys

import numpy as np

from benchmarks import metrics as benchmark


def test_representations():
  factors = np.random.default_rng(0).integers(benchmark.SIZES, size=(300, 5))
  kinds = benchmark.representations(factors, 8)
  for kind, representation in kinds.items():
    assert representation.shape == (300, 8)
    assert np.issubdtype(representation.dtype, np.integer) == kind.endswith('codes')
  np.testing.assert_array_equal(kinds['identity, codes'][:, :5], factors)
  latents, turned = kinds['identity, latents'], kinds['rotated, latents']
  np.testing.assert_array_equal(turned[:, [0, 1, 2, 5, 6, 7]], latents[:, [0, 1, 2, 5, 6, 7]])
  np.testing.assert_allclose(turned[:, 3], (latents[:, 3] + latents[:, 4]) / np.sqrt(2))
  np.testing.assert_allclose(turned[:, 4], (latents[:, 3] - latents[:, 4]) / np.sqrt(2))


def test_runs(monkeypatch, capsys):
  monkeypatch.setattr(sys, 'argv', ['metrics', '--samples=300', '--columns=6', '--only=mig,irs'])
  benchmark.main()
  lines = capsys.readouterr().out.splitlines()
  assert len(lines) == 1 + 3 * 5
  assert all(' s  ' in line for line in lines[1:])
