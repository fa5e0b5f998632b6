"""Step time and memory that the default model would have on machines that we do not have.

  python -m benchmarks.projection [--config configs/dsprites.py] [--share .3]

Measured here: floating-point operations of the training step (XLA's count of the program as it is
written), bytes that its compiled form moves and keeps (of the CPU's compiler), the bytes that
collectives carry (read off the program), and the size of the state. Assumed: what MACHINES holds,
the makers' numbers, and the share of the peak that is reached. A projection, not a measurement:
nothing here has run on these machines. Two or three minutes on two CPU cores.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import importlib
import math
import re
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp

from cvq import parallel, state as train_state, steps
from cvq.models import ct_vae

IMAGE, ACTIONS = (64, 64, 1), 10                        # of dSprites
SIZES = 2, 16                                           # x per device; everything grows linearly
GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Machine:
  """A kind of machine: devices, and for each: FLOP/s, memory and its bytes/s, link bytes/s.

  `link` is the rate in one direction at which an all-reduce streams; `latency` of one hop, and
  `overhead` of starting a step, in seconds.
  """
  devices: int
  flops: float
  memory: float
  bandwidth: float
  link: float
  latency: float
  overhead: float


# float32 arrays; products are made in bfloat16 passes (TPU) and TF32 (H100), JAX's defaults.
MACHINES = {
    'v5e-8': Machine(8, 197e12, 16e9, 819e9, 100e9, 1e-6, 1e-4),
    'v5p-64 (32 chips)': Machine(32, 459e12, 95e9, 2765e9, 300e9, 1e-6, 1e-4),
    '8x H100': Machine(8, 495e12, 80e9, 3350e9, 450e9, 5e-6, 1e-3)}


@dataclasses.dataclass(frozen=True)
class Step:
  """What a training step costs on one device, as lines in x per device: (at none, for each)."""
  flops: tuple[float, float]
  traffic: tuple[float, float]
  working: tuple[float, float]
  state: int
  reduced: int
  gathered: tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Projection:
  """Seconds of a step, its parts, and bytes of memory on one device."""
  compute: float
  traffic: float
  collective: float
  seconds: float
  memory: float


def line(costs: list[float]) -> tuple[float, float]:
  """The line through the costs at SIZES: (at 0, slope)."""
  slope = (costs[1] - costs[0]) / (SIZES[1] - SIZES[0])
  return costs[0] - slope * SIZES[0], slope


def at(cost: tuple[float, float], size: float) -> float:
  return cost[0] + cost[1] * size


def project(step: Step, machine: Machine, size: int, *, share: float, revive_every: int
            ) -> Projection:
  """A step with `size` x on every device of a machine, `share` of its peak reached.

  Arithmetic and memory traffic overlap, so the longer counts; collectives follow them, since most
  of the gradient is there only at the end. Latents are gathered only in steps that revive codes.
  """
  n = machine.devices
  compute = at(step.flops, size) / (share * machine.flops)
  traffic = at(step.traffic, size) / machine.bandwidth
  gathered = (n - 1) * at(step.gathered, size) / revive_every if revive_every else 0.
  carried = 2 * (n - 1) / n * step.reduced + gathered
  collective = carried / machine.link + 2 * (n - 1) * machine.latency
  return Projection(
      compute, traffic, collective, max(compute, traffic) + collective + machine.overhead,
      step.state + at(step.working, size))


def collectives(program: str, name: str) -> int:
  """Bytes that the collectives of this name take in on one device, in a StableHLO program."""
  sizes = {'f32': 4, 'i32': 4, 'ui32': 4, 'i64': 8, 'f64': 8, 'bf16': 2, 'f16': 2, 'i1': 1}
  total = 0
  # A region may stand between the name and the types.
  pattern = rf'"stablehlo\.{name}"\(.*? : \((tensor<[^)]*>)\) -> '
  for operands in re.findall(pattern, program, re.S):
    for tensor in re.findall(r'tensor<([^>]*)>', operands):
      *shape, dtype = tensor.split('x')
      total += math.prod(map(int, shape)) * sizes[dtype]
  return total


def measure(config: Any, mode: str) -> Step:
  """Costs of the config's training step; on one device alone JAX leaves the gathering out."""
  model = ct_vae.build(config.model, IMAGE, ACTIONS)
  # Not in a loop, whose body XLA counts once.
  with mock.patch.object(train_state, 'NEWTON_SCHULZ', train_state.NEWTON_SCHULZ[0]):
    optimizer = train_state.make_optimizer(config)
  create = functools.partial(train_state.create, model, optimizer, image_shape=IMAGE)
  state = jax.eval_shape(lambda: create(key=jax.random.key(0)))
  targets = config.train.targets
  step = functools.partial(steps.train_step, model=model, optimizer=optimizer, config=config,
                           mode=mode)

  def batch(*lead):
    return {'x': jax.ShapeDtypeStruct((*lead, *IMAGE), jnp.uint8),
            'y': jax.ShapeDtypeStruct((*lead, targets, *IMAGE), jnp.uint8),
            'action': jax.ShapeDtypeStruct((*lead, targets), jnp.int32)}

  flops, traffic, working, gathered = [], [], [], []
  devices = jax.local_device_count()
  for size in SIZES:
    lowered = jax.jit(step, donate_argnums=0).lower(state, batch(size))
    flops.append(lowered.cost_analysis()['flops'])
    compiled = lowered.compile()
    traffic.append(compiled.cost_analysis()['bytes accessed'])
    working.append(compiled.memory_analysis().temp_size_in_bytes)
    together = parallel.parallel_train_step(
        functools.partial(step, axis_name=parallel.AXIS))
    program = together.lower(state, batch(devices, size)).as_text()
    gathered.append(collectives(program, 'all_gather'))
  size = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state))
  return Step(line(flops), line(traffic), line(working), size,
              collectives(program, 'all_reduce'), line(gathered))


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--config', default='configs/dsprites.py')
  parser.add_argument('--share', type=float, default=.3, help='of the peak FLOP/s')
  flags = parser.parse_args()
  jax.config.update('jax_platforms', 'cpu')
  jax.config.update('jax_num_cpu_devices', 2)
  path, _, preset = flags.config.partition(':')
  module = importlib.import_module(path.removesuffix('.py').replace('/', '.'))
  config = module.get_config(preset)
  mode = 'mixed' if config.train.modes == 'mixed' else 'causal'
  step = measure(config, mode)
  revive_every = config.model.quantizer.revive_every
  print(f'{flags.config}, {mode} step, {config.train.targets} targets per x; share of the peak '
        f'{flags.share:g}\n'
        f'  {step.flops[1] / 1e9:.2f} GFLOP, {step.traffic[1] / 1e6:.0f} MB moved and '
        f'{step.working[1] / 1e6:.1f} MB kept for each x\n'
        f'  {step.state / 1e6:.1f} MB of state, {step.reduced / 1e6:.2f} MB all-reduced a step, '
        f'{step.gathered[1] / 1e3:.0f} kB gathered for each x in one of {revive_every} steps\n')
  print(f'{"machine":18}{"x/device":>9}{"x":>6}{"compute":>9}{"memory":>9}{"links":>9}'
        f'{"step ms":>9}{"x/s":>10}{"GiB/device":>12}')
  for name, machine in MACHINES.items():
    sizes = [config.train.batch_size / machine.devices, config.train.batch_size, 256]
    for size in [int(s) for s in sizes if s >= 1]:
      p = project(step, machine, size, share=flags.share, revive_every=revive_every)
      ms = [f'{1e3 * s:9.3f}' for s in (p.compute, p.traffic, p.collective, p.seconds)]
      every = size * machine.devices
      print(f'{name:18}{size:9}{every:6}{"".join(ms)}{every / p.seconds:10.0f}'
            f'{p.memory / GIB:12.2f}')
  print(f'\nThe batch of {config.train.batch_size} x can be shared by at most '
        f'{config.train.batch_size} devices. The batch per device from which on')
  for name, machine in MACHINES.items():
    costs = lambda size: project(step, machine, size, share=flags.share,
                                 revive_every=revive_every)
    enough = next((2**i for i in range(20) if max(costs(2**i).compute, costs(2**i).traffic)
                   > 9 * (costs(2**i).collective + machine.overhead)), None)
    fits = next(2**i for i in range(30, -1, -1) if costs(2**i).memory < .9 * machine.memory)
    print(f'  {name:18} a device works nine tenths of the time: {enough}; the memory holds {fits}')


if __name__ == '__main__':
  main()
