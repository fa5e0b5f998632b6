"""Our MCQ-VAE and the PyTorch one of the benchmark are the same function, gradient included."""

import json

import numpy as np
import pytest

from tests import small

pytest.importorskip('torch')

from torch.utils import flop_counter  # noqa: E402  pylint: disable=wrong-import-position

from benchmarks import train_step as benchmark  # noqa: E402  pylint: disable=wrong-import-position


@pytest.fixture(name='both', scope='module')
def fixture_both():
  images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
  return benchmark.Both(small.paper_config(model__quantizer__codebooks=2), images)


def test_same_parameters_outputs_and_loss(both):
  both.check()


def test_another_weight_is_noticed(both):
  params = {name: dict(part) if isinstance(part, dict) else part
            for name, part in both.params.items()}
  params['decoder']['up_0'] = {name: .5 * x for name, x in params['decoder']['up_0'].items()}
  right, both.peer = both.peer, both.new_peer(params)
  with pytest.raises(AssertionError):
    both.check()
  both.peer = right


def test_same_gradient(both):
  _, gradient = both.our_objective()
  expected = both.new_peer(gradient)                   # the gradient, laid out like the weights
  peer = both.new_peer(both.params)
  loss, _, _ = both.peer_loss(peer)
  loss.backward()
  for (name, p), q in zip(peer.named_parameters(), expected.parameters(), strict=True):
    np.testing.assert_allclose(p.grad.numpy(), q.detach().numpy(), rtol=1e-3, atol=1e-6,
                               err_msg=name)


def test_operations_are_those_of_direct_convolutions(both):
  """PyTorch counts those of its products and convolutions only."""
  with flop_counter.FlopCounterMode(display=False) as counter:
    both.run_peer()
  assert counter.get_total_flops() < both.flops() < 1.5 * counter.get_total_flops()


@pytest.mark.slow
def test_a_row_with_its_ratios(both, tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(benchmark, 'Both', lambda *_: both)
  monkeypatch.setattr(benchmark, '_SIDE', 64)
  monkeypatch.setattr('sys.argv', ['train_step', '--repeats=2', f'--results={tmp_path}'])
  benchmark.main()
  found = json.loads((tmp_path / 'train_step.json').read_text())
  times = found['seconds']['MCQ-VAE, batch 64']
  ratios = sorted(b / a for a, b in zip(times['cvq'], times['PyTorch']))
  assert found['rows'][0]['times faster, min / median / max'] == (
      f'{ratios[0]:.2f} / {sum(ratios) / 2:.2f} / {ratios[1]:.2f}')
  assert both.flops() > 1e6
  assert '| MCQ-VAE, batch 64 |' in capsys.readouterr().out
