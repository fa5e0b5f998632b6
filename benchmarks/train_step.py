"""A training step of the paper's MCQ-VAE, beside an ordinary PyTorch implementation.

  pip install -e '.[benchmark]' -c constraints.txt
  python -m benchmarks.train_step [--repeats 9] [--batch 64]

The paper's widths on images of 64x64x3. Ours is the step that training runs (`cvq.steps`, mode
reconstruction: half of the images are x, half y). The peer (`benchmarks/peers/mcq_vae.py`) runs
eagerly, channels last, which is faster here than PyTorch's default layout. Before anything is
timed both get the same weights: parameters must be as many, reconstructions and terms of the loss
equal to 1e-4. Operations are XLA's count of our step with its convolutions done directly; on a CPU
it takes two fifths of them (`cvq/models/winograd.py`), so that our share of the matrix rate can be
above 100 %. That rate is of a product of 2048 x 2048 float32 matrices in JAX, timed in turn with
the steps. A minute on two quiet cores.
"""

from __future__ import annotations

import functools
import math
from typing import Any, Callable

import jax
import jax.numpy as jnp
import numpy as np
import torch

from benchmarks import common
from benchmarks.peers import mcq_vae
from configs import common as configs
from cvq import objectives, state as train_state, steps
from cvq.models import ct_vae

TOLERANCE = 1e-4
ACTIONS = 12                                           # of Shapes3D; the step does not use them
PARTS = ('encoder', 'quantizer', 'decoder')
_SIDE = 2048                                           # of the matrices


class Both:
  """The same model twice, with the same weights.

  Args:
    config: of our run. images: uint8 [B, H, W, C], B even.
  """

  def __init__(self, config: Any, images: np.ndarray):
    shape = images.shape[1:]
    half = len(images) // 2
    self.config = config
    self.batch = {'x': images[:half], 'y': images[half:, None],
                  'action': np.zeros((half, 1), np.int32)}
    self.model = ct_vae.build(config.model, shape, ACTIONS)
    self.optimizer = train_state.make_optimizer(config)
    self.state = train_state.create(self.model, self.optimizer, jax.random.key(0), shape)
    self.params = jax.tree.map(np.array, self.state.params)
    step = functools.partial(steps.train_step, model=self.model, optimizer=self.optimizer,
                             config=config, mode='reconstruction')
    self.step = jax.jit(step, donate_argnums=0)
    self.peer = self.new_peer(self.params)
    self.adam = torch.optim.Adam(
        self.peer.parameters(), lr=config.pretrain.learning_rate, betas=(.9, config.train.b2))
    pixels = torch.from_numpy(images.astype(np.float32) / 255).permute(0, 3, 1, 2)
    self.pixels = pixels.contiguous(memory_format=torch.channels_last)

  def new_peer(self, params: Any) -> mcq_vae.MCQVAE:
    """The PyTorch model with these weights of ours."""
    m = self.config.model
    peer = mcq_vae.MCQVAE(
        channels=self.batch['x'].shape[-1], widths=tuple(m.encoder.widths),
        residual_blocks=m.encoder.residual_blocks, latent_dim=m.latent_dim,
        codebooks=m.quantizer.codebooks, codes=m.quantizer.codes)
    mcq_vae.copy_weights(peer, params)
    return peer.to(memory_format=torch.channels_last)

  def our_objective(self) -> tuple[dict, Any]:
    """Terms of the loss and their gradient, at the weights that both started from."""
    @jax.jit
    def run(params):
      loss = lambda params: objectives.objective(
          params, self.state.stats, self.batch, jax.random.key(0), model=self.model,
          config=self.config, mode='reconstruction')
      (_, aux), gradient = jax.value_and_grad(loss, has_aux=True)(params)
      return aux['terms'], gradient
    return jax.tree.map(np.array, run(self.params))

  def our_reconstruction(self) -> np.ndarray:
    """[B, H, W, C], x then y."""
    @jax.jit
    def run(params):
      apply = lambda method, *args: self.model.apply(
          {'params': params, 'codebook': {'quantizer': self.state.stats}}, *args, method=method)
      images = jnp.concatenate([self.batch['x'], self.batch['y'][:, 0]])
      return apply(self.model.decode, apply(self.model.encode, objectives.to_float(images)).vectors)
    return np.array(run(self.params))

  def peer_loss(self, peer: mcq_vae.MCQVAE) -> tuple[torch.Tensor, torch.Tensor, dict]:
    """The weighted loss, the reconstruction, and the terms."""
    outputs, terms = peer(self.pixels)
    return sum(self.config.loss[name] * term for name, term in terms.items()), outputs, terms

  def check(self) -> None:
    """Raises AssertionError unless parameters, reconstructions and terms of the loss are equal."""
    count = sum(x.size for part in PARTS for x in jax.tree.leaves(self.params[part]))
    assert count == sum(p.numel() for p in self.peer.parameters())
    with torch.no_grad():
      _, outputs, terms = self.peer_loss(self.peer)
    np.testing.assert_allclose(
        self.our_reconstruction(), outputs.permute(0, 2, 3, 1).numpy(), atol=TOLERANCE)
    ours, _ = self.our_objective()
    for name, term in terms.items():
      np.testing.assert_allclose(ours[name], term.item(), rtol=TOLERANCE, err_msg=name)

  def run_ours(self) -> None:
    self.state, scalars = self.step(self.state, self.batch)
    jax.block_until_ready((self.state, scalars))

  def run_peer(self) -> None:
    self.adam.zero_grad()
    loss, _, _ = self.peer_loss(self.peer)
    loss.backward()
    self.adam.step()

  def flops(self) -> float:
    """Operations of our step with direct convolutions, by XLA's count of the program."""
    traced = self.step.trace(self.state, self.batch)
    return traced.lower(lowering_platforms=('tpu',)).cost_analysis()['flops']


def product() -> Callable[[], Any]:
  """A product of two large matrices in JAX: 2 * _SIDE ** 3 operations."""
  matrix = jax.random.normal(jax.random.key(0), (_SIDE, _SIDE))
  run = jax.jit(jnp.matmul)
  return lambda: run(matrix, matrix).block_until_ready()


def main() -> None:
  parser = common.parser(__doc__, repeats=9)
  parser.add_argument('--batch', type=int, default=64, help='images, an even number')
  flags = parser.parse_args()
  config = configs.experiment('paper', 'shapes3d', 'rendered', images=64, transitions=64)
  images = np.random.default_rng(0).integers(0, 256, (flags.batch, 64, 64, 3), dtype=np.uint8)
  both = Both(config, images)
  both.check()
  times = common.in_turn(
      {'cvq': both.run_ours, 'PyTorch': both.run_peer, 'product': product()}, flags.repeats)
  flops = both.flops()
  # Of each round: operations a second, over those of the product beside it.
  share = lambda version: common.spread([
      100 * (flops / t) / (2 * _SIDE ** 3 / p)
      for t, p in zip(times[version], times['product'], strict=True)], 0)
  best = 2 * _SIDE ** 3 / min(times['product']) / 1e9
  row = {'step': f'MCQ-VAE, batch {flags.batch}', 'cvq ms': common.milliseconds(times['cvq']),
         'PyTorch ms': common.milliseconds(times['PyTorch']),
         'times faster, min / median / max': common.times_faster(times['cvq'], times['PyTorch']),
         'goal': '1.0', "cvq's share of the matrix rate, %": share('cvq'), 'goal, %': '60',
         "PyTorch's, %": share('PyTorch')}
  count = math.fsum(p.numel() for p in both.peer.parameters())
  common.report('train_step', [row], flags.results, times={row['step']: times}, note=(
      f'{count / 1e6:.2f} million parameters each; {flops / 1e9:.0f} GFLOP a step; the machine '
      f'multiplies matrices at {best:.0f} GFLOP/s; {flags.repeats} rounds.'))


if __name__ == '__main__':
  common.start(main)
