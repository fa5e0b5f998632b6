"""Our CT layer and the plain PyTorch one of the benchmark are the same function."""

import functools
import json
import statistics

import pytest

from benchmarks import ct_layer as benchmark

TOY = {'variables': 5, 'codes': 6, 'actions': 4, 'edge_hidden': 7, 'hidden': 3}


@pytest.mark.parametrize('mode', ['base', 'causal'])
def test_same_parameters_and_log_probabilities(mode):
  pytest.importorskip('torch')
  benchmark.check(mode, **TOY)


def test_another_function_is_noticed(monkeypatch):
  pytest.importorskip('torch')
  from benchmarks.peers import ct_layer as peer
  right = peer.CTLayer.forward
  # Mistake 2 of DESIGN section 5: rows and columns mixed up.
  attend = peer.GraphAttention.forward
  monkeypatch.setattr(peer.GraphAttention, 'forward',
                      lambda self, nodes, weights: attend(self, nodes, weights.mT))
  assert peer.CTLayer.forward is right
  with pytest.raises(AssertionError, match='Not equal to tolerance'):
    benchmark.check('action', **TOY)


def test_same_gradient():
  torch = pytest.importorskip('torch')
  import jax
  import jax.numpy as jnp
  import numpy as np
  problem = benchmark.Problem('action', 3, gumbel=False, **TOY)
  params = problem.parameters()
  loss = lambda params: -problem.log_probability(
      params, jnp.asarray(problem.x), jnp.asarray(problem.y)).sum(-1).mean()
  gradient = jax.jit(jax.grad(loss))(params)
  peer, expected = problem.new_peer(params), problem.new_peer(gradient)
  problem.peers(peer)()
  for p, q in zip(peer.parameters(), expected.parameters(), strict=True):
    np.testing.assert_allclose(p.grad if p.grad is not None else torch.zeros_like(p),
                               q.detach(), rtol=1e-3, atol=1e-5)


def test_the_peer_gets_what_there_is_room_for():
  assert benchmark.peer_batch('causal', 16, free=1000.) == 16
  assert benchmark.peer_batch('causal', 16, free=20.) == 4
  assert benchmark.peer_batch('action', 16, free=20.) == 16
  assert benchmark.peer_batch('causal', 16, free=1.) == 0


@pytest.mark.slow
def test_rows_compare_at_the_batch_that_the_peer_has_room_for(tmp_path, monkeypatch, capsys):
  pytest.importorskip('torch')
  monkeypatch.setattr(benchmark, 'Problem', functools.partial(benchmark.Problem, **TOY))
  monkeypatch.setattr(benchmark, 'check', lambda mode: None)
  monkeypatch.setattr(benchmark, 'memory', lambda version, mode, batch: f'{version} {batch}')
  monkeypatch.setattr(benchmark, 'peer_batch', lambda mode, batch: 2 if mode == 'causal' else batch)
  monkeypatch.setattr('sys.argv', ['ct_layer', '--repeats=2', '--batch=4', '--modes', 'action',
                                   'causal', f'--results={tmp_path}'])
  benchmark.main()
  found = json.loads((tmp_path / 'ct_layer.json').read_text())
  rows = found['rows']
  assert [(row['mode'], row['batch'], row['PyTorch GB']) for row in rows] == [
      ('action', '4', 'PyTorch 4'), ('causal', '4', ''), ('causal', '2', 'PyTorch 2')]
  assert rows[1]['PyTorch ms'] == 'no room' and rows[2]['times faster, min / median / max']
  median = statistics.median(found['seconds']['action, batch 4']['cvq'])
  assert rows[0]['cvq pairs/s'] == f'{4 / median:.0f}'
  assert 'action steps at batch 4' in capsys.readouterr().out
