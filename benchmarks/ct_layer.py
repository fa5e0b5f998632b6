"""Training steps of the paper's transition layer: milliseconds and memory beside a plain version.

  python -m benchmarks.ct_layer [--repeats 5] [--batch 16]

Paper size: V = 64 variables, N = 64 codes, A = 10 actions, edge hidden layer 800, attention 100
x 11 heads. A step is value_and_grad of the mode's loss. The plain version is the same function
written without this package's savings: an MLP on concatenated pairs, all heads of both layers,
one full pass for each action. Both run turn by turn in one process each; memory is the peak of a
process that runs one row only. Causal mode of the plain version needs about 35 GB at batch 16:
where that is not free, try --batch 4. About five minutes on two CPU cores.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import platform
import resource
import subprocess
import sys
import time

import jax
import jax.numpy as jnp

from cvq import losses
from cvq.models import causal_graph, gat, prediction as pred
from cvq.models.quantizer import Quantized

V, N, A = 64, 64, 10
MODES = ('base', 'action', 'causal')
PLAIN_GB = .22                                                 # of an example and a pass, measured
GOALS = {'action': '300 ms', 'causal': '2000 ms, 3 GB'}


def plain_attend(p, nodes, weights):
  """All heads of GATv2 with every pair's hidden layer in memory: [B, U, n] -> [B, U, R, f]."""
  child = jnp.einsum('bun,rnf->burf', nodes, p['child_kernel']) + p['child_bias']
  parent = jnp.einsum('bun,rnf->burf', nodes, p['parent_kernel']) + p['parent_bias']
  pairs = child[:, :, None] + parent[:, None] + weights[..., None, None] * p['edge']
  scores = (jax.nn.leaky_relu(pairs, .2) * p['score']).sum(-1)               # [B, U, U, R]
  out = causal_graph.graph_attention(
      jnp.moveaxis(scores, -1, 1), weights[:, None], jnp.moveaxis(parent, 2, 1))
  return jnp.moveaxis(out, 1, 2) + p['bias']


def plain_edges(p, nodes, mechanism):
  """MLP on [h_i; h_j] of all pairs, for the mechanism of each example: -> [B, V, V]."""
  b, v, n = nodes.shape
  child = jnp.broadcast_to(nodes[:, :, None], (b, v, v, n))
  parent = jnp.broadcast_to(nodes[:, None], (b, v, v, n))
  pairs = jnp.concatenate([child, parent], -1)
  hidden = jnp.einsum('bijn,bnh->bijh', pairs, p['kernel'][mechanism])
  hidden = jax.nn.leaky_relu(hidden + p['bias'][mechanism][:, None, None], .2)
  scores = jnp.einsum('bijh,bh->bij', hidden, p['out_kernel'][mechanism])
  return scores + p['out_bias'][mechanism][:, None, None]


def plain_pass(layer, params, codes, action, key):
  """Logits [B, V, N] for one action of each example, or without one (None)."""
  nodes = layer.nodes(codes)
  b = nodes.shape[0]
  keys = jax.random.split(key, 3)
  draw = lambda logits, key: causal_graph.sample_bernoulli(logits, key, method='gumbel')
  weigh = lambda logits, key: jax.nn.sigmoid(logits) * draw(logits, key)
  graph = weigh(plain_edges(params['edges'], nodes, jnp.zeros(b, jnp.int32)), keys[0])
  mask, embedding, head = jnp.zeros((b, V)), jnp.zeros((b, N)), jnp.zeros(b, jnp.int32)
  if action is not None:
    logits = causal_graph.InterventionMask(A).apply({'params': params['mask']}, nodes)
    mask = draw(jnp.take_along_axis(logits, action[:, None, None], axis=1)[:, 0], keys[1])
    own = weigh(plain_edges(params['edges'], nodes, 1 + action), keys[2])
    graph = (1 - mask[..., None]) * graph + mask[..., None] * own
    embedding, head = params['action']['embedding'][action], 1 + action
  column = jnp.concatenate([mask, jnp.ones((b, 1))], 1)[..., None]
  weights = jnp.concatenate([jnp.pad(graph, ((0, 0), (0, 1), (0, 0))), column], 2)
  extended = jnp.concatenate([nodes, embedding[:, None]], 1)
  hidden = jax.nn.elu(plain_attend(params['first'], extended, weights)).reshape(b, V + 1, -1)
  out = plain_attend(params['last'], hidden, weights)[:, :V]                 # [B, V, R, N]
  own = jnp.take_along_axis(out, head[:, None, None, None], axis=2)[:, :, 0]
  m = mask[..., None]
  return (1 - m) * out[:, :, 0] + m * own


def plain_log_probability(layer, params, codes, targets, actions, key):
  """[B, M, V], one full pass for each hypothesis; actions: [B, M] or None."""
  columns = [None] if actions is None else list(actions.T)
  logits = jnp.stack([plain_pass(layer, params, codes, action, jax.random.fold_in(key, i))
                      for i, action in enumerate(columns)], 1)
  taken = jnp.take_along_axis(jax.nn.log_softmax(logits), targets[:, None, :, None], axis=-1)
  return taken[..., 0]


def log_probability(layer, params, codes, targets, actions, key):
  """[B, M, V] by the layer of the package; actions: [B, M] or None."""
  empty = jnp.zeros((*codes.shape, 1))
  x = Quantized(codes=codes, vectors=empty, latents=empty, codebook=jnp.zeros((1, N, 1)))
  apply = lambda *args, **kwargs: layer.apply(
      {'params': params}, x, *args, train=True, rngs={'sample': key}, **kwargs)
  out = apply(method=layer.observe) if actions is None else apply(actions)
  return pred.log_probability(out, codes, targets[:, None])[:, 0]


VERSIONS = {'cvq': log_probability, 'plain': plain_log_probability}


def prepare(version: str, mode: str, batch: int):
  """A compiled training step, run once: -> function without arguments."""
  layer = gat.GraphTransition(codebooks=1, codes=N, grid=(8, 8), num_actions=A)
  key = jax.random.key(0)
  codes = jax.random.randint(key, (batch, V), 0, N)
  targets = codes if mode == 'base' else jax.random.randint(jax.random.key(1), (batch, V), 0, N)
  true = jnp.arange(batch) % A
  actions = {'base': None, 'action': true[:, None],
             'causal': jnp.broadcast_to(jnp.arange(A), (batch, A))}[mode]
  empty = jnp.zeros((1, V, 1))
  x = Quantized(codes=codes[:1], vectors=empty, latents=empty, codebook=jnp.zeros((1, N, 1)))
  init = jax.jit(lambda: layer.init(key, x, jnp.zeros((1, 1), jnp.int32), train=False))
  params = init()['params']

  def loss(params):
    log_prob = VERSIONS[version](layer, params, codes, targets, actions, key)
    if mode == 'causal':
      return losses.retrieval(losses.posterior_logits(log_prob[:, None], 1.), true[:, None])
    return losses.negative_log_likelihood(log_prob)

  step = jax.jit(jax.value_and_grad(loss))
  run = lambda: jax.block_until_ready(step(params))
  run()
  return run


def seconds(run) -> float:
  start = time.perf_counter()
  run()
  return time.perf_counter() - start


def peak_gb() -> float:
  """Largest resident memory of this process so far."""
  status = pathlib.Path('/proc/self/status')
  if status.exists():          # getrusage would count what the parent held when it forked
    line, = (line for line in status.read_text().splitlines() if line.startswith('VmHWM:'))
    return int(line.split()[1]) * 1024 / 1e9
  unit = 1 if sys.platform == 'darwin' else 1024
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def free_gb() -> float:
  """Physical memory not in use; infinite where the system does not say."""
  if 'SC_AVPHYS_PAGES' not in os.sysconf_names:
    return float('inf')
  return os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9


def measure_memory(version: str, mode: str, batch: int) -> str:
  """Peak GB in a process of its own, as text; 'no room' or 'failed' where it can't be had."""
  passes = A if mode == 'causal' else 1
  if version == 'plain' and free_gb() < PLAIN_GB * passes * batch:
    return 'no room'
  command = [sys.executable, '-m', 'benchmarks.ct_layer', '--memory', version, mode,
             '--batch', str(batch)]
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  return done.stdout.strip() if done.returncode == 0 else 'failed'


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--repeats', type=int, default=5)
  parser.add_argument('--batch', type=int, default=16)
  parser.add_argument('--modes', nargs='+', choices=MODES, default=MODES)
  parser.add_argument('--memory', nargs=2, metavar=('VERSION', 'MODE'), help=argparse.SUPPRESS)
  flags = parser.parse_args()
  if flags.memory:
    jax.devices()
    prepare(*flags.memory, flags.batch)
    print(f'{peak_gb():.2f}')
    return
  print(f'{platform.machine()}, {os.cpu_count()} cores, {jax.default_backend()}, '
        f'jax {jax.__version__}, batch {flags.batch}, {flags.repeats} repeats')
  print(f'{"mode":8} {"cvq ms":>8} {"plain ms":>9}   {"ratio min / median / max":26}'
        f'{"cvq GB":>8} {"plain GB":>9}   goal')
  for mode in flags.modes:
    memory = {version: measure_memory(version, mode, flags.batch) for version in VERSIONS}
    runs = {v: prepare(v, mode, flags.batch) for v in VERSIONS
            if memory[v] not in ('failed', 'no room')}
    times = {version: [] for version in VERSIONS}
    for _ in range(flags.repeats):
      for version, run in runs.items():
        times[version].append(seconds(run))
    best = {v: f'{1e3 * min(t):.0f}' if t else '-' for v, t in times.items()}
    ratios = sorted(b / a for a, b in zip(times['cvq'], times['plain']))
    ratio = (f'{ratios[0]:.1f} / {ratios[len(ratios) // 2]:.1f} / {ratios[-1]:.1f}'
             if ratios else '-')
    goal = GOALS.get(mode, '')
    print(f'{mode:8} {best["cvq"]:>8} {best["plain"]:>9}   {ratio:26}'
          f'{memory["cvq"]:>8} {memory["plain"]:>9}   {goal}', flush=True)


if __name__ == '__main__':
  main()
