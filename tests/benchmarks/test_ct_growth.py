"""Exponents, and which points the peer has room for."""

import json

import pytest

from benchmarks import ct_growth as benchmark


def test_exponent_of_a_power():
  assert benchmark.exponent([16, 64, 256], [3 * v ** 1.5 for v in (16, 64, 256)]) == '1.50'
  assert benchmark.exponent([16], [1.]) == ''


def test_the_peer_keeps_more_with_every_size():
  base = benchmark.peer_gb(benchmark.BASE)
  assert base == pytest.approx(2., rel=.5)               # 2.2 GB measured, with the interpreter
  for axis, sizes in benchmark.SIZES.items():
    assert benchmark.peer_gb(benchmark.BASE | {axis: 2 * sizes[-1]}) > 2 * base


def test_points_become_rows_and_exponents(tmp_path, monkeypatch):
  def alone(module, *arguments):
    version, v, a, n = arguments[-4:]
    if v == 256:
      return None                                        # as if it had been ended
    seconds = {'cvq': 1e-3 * v * a, 'PyTorch': 1e-3 * v ** 2 * a}[version]
    return json.dumps({'seconds': [seconds], 'gb': 1.})

  monkeypatch.setattr(benchmark.common, 'alone', alone)
  monkeypatch.setattr(benchmark.common, 'free_gb', lambda: 20.)
  monkeypatch.setattr('sys.argv', ['ct_growth', '--axes', 'V', 'A', f'--results={tmp_path}'])
  benchmark.main()
  found = json.loads((tmp_path / 'ct_growth.json').read_text())
  cells = [(row['V'], row['A'], row['cvq ms'], row['PyTorch ms']) for row in found['rows']]
  assert cells == [
      ('16', '10', '160', '2,560'), ('64', '10', '640', '40,960'),
      ('256', '10', 'failed', 'no room'), ('64', '5', '320', '20,480'),
      ('64', '10', '640', '40,960'), ('64', '40', '2,560', 'no room'),
      ('64', '160', '10,240', 'no room')]
  assert 'cvq, V 16-64: 1.00; PyTorch, V 16-64: 2.00; cvq, A 5-10-40-160: 1.00' in \
      found['notes']['note']
