"""Steps of the paper's transition layer, beside a plain PyTorch version: time and memory.

  pip install -e '.[benchmark]' -c constraints.txt
  python -m benchmarks.ct_layer [--repeats 5] [--batch 16] [--modes base action causal retrieval]

Paper size: V = 64 variables, N = 64 codes, A = 10 actions, edge hidden layer 800, attention 100
x 11 heads. base, action and causal are training steps (the mode's loss and its gradient);
retrieval is the posterior over actions without gradient, as in evaluation. The peer
(`benchmarks/peers/ct_layer.py`) writes the paper's description down: an MLP on concatenated
pairs, all heads of both layers, one pass for each action. With the same weights, and means in
place of samples, the two must give the same log-probabilities to 1e-4 before anything is timed.
Both run turn by turn; memory is the peak of a process that runs one version of one row alone.
The peer's causal step keeps ten passes for its gradient: where the batch does not fit into the
free memory, the comparison is made at the largest that does. Eight minutes on two quiet cores.
"""

from __future__ import annotations

import argparse
import functools
from typing import Any, Callable

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import common
from cvq import losses
from cvq.models import gat, prediction as pred
from cvq.models.quantizer import Quantized

MODES = ('base', 'action', 'causal', 'retrieval')
GOALS = {'base': '8', 'action': '8', 'causal': '20', 'retrieval': '5'}
TOLERANCE = 1e-4
# GB that the peer keeps for an example, a pass and 64 ** 2 pairs; .25 measured at paper size.
_PEER_GB = .3


class Problem:
  """A layer of ours, codes of x and y, and the actions.

  Args:
    mode: of MODES. gumbel: sample graph and mask, as training does; else take means.
    widths: edge_hidden and hidden of the layer; the paper's if not given.
  """

  def __init__(self, mode: str, batch: int, *, variables: int = 64, codes: int = 64,
               actions: int = 10, gumbel: bool = True, **widths: int):
    self.mode, self.training = mode, mode != 'retrieval'
    self.sizes = {'variables': variables, 'codes': codes, 'actions': actions,
                  'edge_hidden': 800, 'hidden': 100, 'gumbel': gumbel and self.training} | widths
    rng = np.random.default_rng(0)
    self.x = rng.integers(0, codes, (batch, variables))
    self.y = self.x if mode == 'base' else rng.integers(0, codes, (batch, variables))
    self.true = np.arange(batch) % actions
    every = np.broadcast_to(np.arange(actions), (batch, actions))
    self.actions = {'base': None, 'action': self.true[:, None]}.get(mode, every)
    self.layer = gat.GraphTransition(
        codebooks=1, codes=codes, grid=(1, variables), num_actions=actions,
        edge_hidden=self.sizes['edge_hidden'], hidden=self.sizes['hidden'],
        sampling='gumbel' if self.sizes['gumbel'] else 'mean')

  def parameters(self) -> Any:
    init = jax.jit(lambda: self.layer.init(
        jax.random.key(0), self._quantized(jnp.asarray(self.x[:1])), jnp.zeros((1, 1), jnp.int32),
        train=False))
    return init()['params']

  def _quantized(self, codes: jax.Array) -> Quantized:
    empty = jnp.zeros((*codes.shape, 1))
    book = jnp.zeros((1, self.sizes['codes'], 1))
    return Quantized(codes=codes, vectors=empty, latents=empty, codebook=book)

  def log_probability(self, params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    """[B, M, V] of ours, for M hypotheses."""
    apply = functools.partial(self.layer.apply, {'params': params}, self._quantized(x),
                              train=self.training, rngs={'sample': jax.random.key(0)})
    out = (apply(method=self.layer.observe) if self.actions is None
           else apply(jnp.asarray(self.actions)))
    return pred.log_probability(out, x, y[:, None])[:, 0]

  def ours(self, params: Any) -> Callable[[], Any]:
    """A call of our step, compiled."""
    x, y, true = map(jnp.asarray, (self.x, self.y, self.true))

    def loss(params):
      log_prob = self.log_probability(params, x, y)
      if self.mode == 'retrieval':
        return jax.nn.softmax(losses.posterior_logits(log_prob[:, None], 1.)[:, 0])
      if self.mode == 'causal':
        return losses.retrieval(losses.posterior_logits(log_prob[:, None], 1.), true[:, None])
      return losses.negative_log_likelihood(log_prob)

    step = jax.jit(jax.value_and_grad(loss) if self.training else loss)
    return lambda: jax.block_until_ready(step(params))

  def new_peer(self, params: Any | None):
    """The PyTorch layer, with our weights where they are given."""
    from benchmarks.peers import ct_layer
    peer = ct_layer.CTLayer(**self.sizes)
    if params is not None:
      ct_layer.copy_weights(peer, jax.tree.map(np.array, params))
    return peer

  def peer_log_probability(self, peer):
    """[B, M, V] of the peer, for M hypotheses."""
    import torch
    x, y = torch.from_numpy(self.x), torch.from_numpy(self.y)
    actions = None if self.actions is None else torch.from_numpy(self.actions.copy())
    return peer.log_probability(x, y, actions)

  def peers(self, peer) -> Callable[[], Any]:
    """A call of the peer's step."""
    import torch
    true = torch.from_numpy(self.true)

    def step():
      if self.mode == 'retrieval':
        with torch.no_grad():
          return self.peer_log_probability(peer).sum(-1).softmax(-1)
      peer.zero_grad()
      log_prob = self.peer_log_probability(peer)
      if self.mode == 'causal':
        loss = torch.nn.functional.cross_entropy(log_prob.sum(-1), true)
      else:
        loss = -log_prob.sum(-1).mean()
      return loss.backward()
    return step


def check(mode: str, **sizes: int) -> None:
  """Raises AssertionError unless both have as many parameters and equal log-probabilities."""
  problem = Problem(mode, 2, gumbel=False, **sizes)
  params = problem.parameters()
  peer = problem.new_peer(params)
  assert sum(x.size for x in jax.tree.leaves(params)) == sum(p.numel() for p in peer.parameters())
  ours = jax.jit(problem.log_probability)(params, jnp.asarray(problem.x), jnp.asarray(problem.y))
  theirs = problem.peer_log_probability(peer).detach().numpy()
  np.testing.assert_allclose(ours, theirs, atol=TOLERANCE)


def prepare(version: str, problem: Problem) -> Callable[[], Any]:
  """The step of 'cvq' or 'PyTorch', without anything of the other one in memory."""
  if version == 'cvq':
    return problem.ours(problem.parameters())
  return problem.peers(problem.new_peer(None))


def peer_batch(mode: str, batch: int, *, actions: int = 10, free: float | None = None) -> int:
  """The largest batch, halved as often as needed, that the peer has room for; 0: none."""
  passes = actions if mode == 'causal' else 1
  free = common.free_gb() if free is None else free
  while batch and _PEER_GB * passes * batch > .8 * free:
    batch //= 2
  return batch


def memory(version: str, mode: str, batch: int) -> str:
  """Peak GB of one step in a process of its own, as text."""
  printed = common.alone('benchmarks.ct_layer', '--memory', version, mode, '--batch', batch)
  return printed or 'failed'


def main() -> None:
  parser = common.parser(__doc__, repeats=5)
  parser.add_argument('--batch', type=int, default=16)
  parser.add_argument('--modes', nargs='+', choices=MODES, default=MODES)
  parser.add_argument('--memory', nargs=2, metavar=('VERSION', 'MODE'), help=argparse.SUPPRESS)
  flags = parser.parse_args()
  if flags.memory:
    version, mode = flags.memory
    prepare(version, Problem(mode, flags.batch))()
    print(f'{common.peak_gb():.2f}')
    return
  rows, times = [], {}
  for mode in flags.modes:
    check(mode)
    fits = peer_batch(mode, flags.batch)
    # Ours at the batch that is asked for, and beside the peer at one that it has room for.
    for batch, versions in {flags.batch: ['cvq'], fits: ['cvq', 'PyTorch']}.items():
      if not batch:
        continue
      problem = Problem(mode, batch)
      of_row = common.in_turn({v: prepare(v, problem) for v in versions}, flags.repeats)
      peer = of_row.get('PyTorch')
      times[f'{mode}, batch {batch}'] = of_row
      row = {'mode': mode, 'batch': str(batch), 'cvq ms': common.milliseconds(of_row['cvq']),
             'PyTorch ms': common.milliseconds(peer) if peer else 'no room',
             'times faster, min / median / max':
                 common.times_faster(of_row['cvq'], peer) if peer else '',
             'goal': GOALS[mode] if peer else ''}
      for version in ('cvq', 'PyTorch'):
        row[f'{version} GB'] = memory(version, mode, batch) if version in versions else ''
      row['cvq pairs/s'] = f'{batch / np.median(of_row["cvq"]):.0f}'
      rows.append(row)
  note = (f'{flags.repeats} rounds; goal of the causal step also: at most 3 action steps, peak '
          'memory under 3 GB.')
  action, causal = (times.get(f'{m}, batch {flags.batch}', {}).get('cvq')
                    for m in ('action', 'causal'))
  if action and causal:
    note += (f' It takes {np.median(causal) / np.median(action):.1f} action steps at batch '
             f'{flags.batch}.')
  common.report('ct_layer', rows, flags.results, times=times, note=note)


if __name__ == '__main__':
  common.start(main)
