"""Where the time of the default preset goes: parts of its joint step, and of a finished run.

  python -m benchmarks.default_step [--repeats 20] [--run runs/dsprites]

Every part is compiled alone, forward and backward, at the shapes that it has in the step of
configs/dsprites.py (16 x with 4 targets, one of them drawn, 10 actions); targets that are not drawn
are encoded forward alone; the whole step is timed in turn with them.
The transition is timed with one hypothesis and with all, which tells the trunk that they share
from the branch of each. What the parts leave over is pieces between them, or less where the
compiler joins them. With --run, a run's own log says how long training and evaluation took and
what share of it was spent waiting for data. Two minutes on two quiet cores.
"""

from __future__ import annotations

import functools
import json
import pathlib
import statistics
from typing import Any, Callable

import jax
import jax.numpy as jnp
import optax

from benchmarks import common
from cvq import losses, objectives, state as train_state, steps
from cvq.models import ct_vae, prediction as pred, quantizer as vq

IMAGE, ACTIONS = (64, 64, 1), 10                       # of dSprites


def both_ways(function: Callable, inputs: Any, fixed: Any = None) -> Callable[[], Any]:
  """function(inputs, fixed) and the gradient of the inputs, compiled, as a call."""
  @jax.jit
  def run(inputs, fixed):
    out, back = jax.vjp(lambda inputs: function(inputs, fixed), inputs)
    return out, back(jax.tree.map(jnp.ones_like, out))
  return lambda: jax.block_until_ready(run(inputs, fixed))


def parts(config: Any) -> dict[str, Callable[[], Any]]:
  """Calls of the parts of the joint step, and of the whole one."""
  b, t = config.train.batch_size, config.train.targets
  model = ct_vae.build(config.model, IMAGE, ACTIONS)
  optimizer = train_state.make_optimizer(config)
  state = train_state.create(model, optimizer, jax.random.key(0), IMAGE)
  keys = jax.random.split(jax.random.key(0), 2)
  images = jax.random.randint(keys[0], (b * (1 + t), *IMAGE), 0, 256).astype(jnp.uint8)
  actions = jax.random.randint(keys[1], (b, t), 0, ACTIONS)
  batch = {'x': images[:b], 'y': images[b:].reshape(b, t, *IMAGE), 'action': actions}
  pixels = objectives.to_float(images)
  shown = b * (1 + config.train.drawn)                 # images that are drawn

  def apply(params, *args, method):
    variables = {'params': params, 'codebook': {'quantizer': state.stats}}
    return model.apply(variables, *args, method=method, rngs={'sample': keys[0]})

  params = state.params
  encode = lambda p, x: apply(p, x, method=lambda m, x: m.encoder(x))
  latents = jax.jit(encode)(params, pixels)
  codes_of = jax.jit(lambda z: apply(params, z, method=lambda m, z: m.quantizer(z)))
  others = jax.jit(lambda p, x: codes_of(encode(p, x)).codes)
  quantized = codes_of(latents)
  drawn = objectives.slice_batch(quantized, 0, shown)
  from_x = objectives.slice_batch(quantized, 0, b)
  y_codes = quantized.codes[b:].reshape(b, t, -1)

  def quantize(inputs, _):
    out = apply(*inputs, method=lambda m, z: m.quantizer(z))
    return out.vectors, out.latents, out.codebook

  def predict(inputs, fixed):
    p, vectors = inputs
    x, hypotheses = fixed
    return apply(p, x.replace(vectors=vectors), hypotheses,
                 method=functools.partial(type(model).predict, train=True))

  def predicted(inputs, fixed):
    out = predict(inputs, fixed)
    return out.logits, out.mask_logits, out.vectors

  of_x, every = (params, from_x.vectors), model.every_action(b)
  prediction = jax.jit(predict)(of_x, (from_x, every))

  def likelihood(inputs, fixed):
    guess, x_codes, y_codes, actions = fixed
    guess = guess.replace(logits=inputs[0], mask_logits=inputs[1])
    log_prob = pred.log_probability(guess, x_codes, y_codes)
    of_true = jnp.take_along_axis(log_prob, actions[:, :, None, None], axis=2)[:, :, 0]
    return (losses.retrieval(losses.posterior_logits(log_prob, 1.), actions)
            + losses.negative_log_likelihood(of_true))

  def decode(inputs, targets):
    outputs = apply(*inputs, method=type(model).decode)
    return losses.reconstruction(outputs, targets, model.likelihood)

  @jax.jit
  def update(state, gradient):
    updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
    return optax.apply_updates(state.params, steps.halt(updates, 'all')), opt_state

  care = jax.jit(lambda codes, z: vq.assignments(codes, z, quantized.codebook))
  whole = jax.jit(functools.partial(steps.train_step, model=model, optimizer=optimizer,
                                    config=config, mode='mixed'))
  return {
      'whole step': lambda: jax.block_until_ready(whole(state, batch)),
      'encoder': both_ways(encode, params, pixels[:shown]),
      'codes of the other targets': lambda: jax.block_until_ready(others(params, pixels[shown:])),
      'quantizer': both_ways(quantize, (params, latents[:shown])),
      'one hypothesis': both_ways(predicted, of_x, (from_x, every[:, :1])),
      'all hypotheses': both_ways(predicted, of_x, (from_x, every)),
      'likelihood of codes, posterior': both_ways(
          likelihood, (prediction.logits, prediction.mask_logits),
          (prediction, from_x.codes, y_codes, actions)),
      'decoder, x and y': both_ways(decode, (params, drawn.vectors), pixels[:shown]),
      'decoder, predictions': both_ways(decode, (params, drawn.vectors[b:]), pixels[b:shown]),
      'count of codes': lambda: jax.block_until_ready(care(drawn.codes, drawn.latents)),
      'optimiser': lambda: jax.block_until_ready(update(state, params))}


def split(ms: dict[str, float]) -> dict[str, float]:
  """Milliseconds of parts -> the same with trunk and branches told apart, and the rest."""
  ms = dict(ms)
  one, every, whole = (ms.pop(name) for name in ('one hypothesis', 'all hypotheses', 'whole step'))
  branch = max(every - one, 0.) / (ACTIONS - 1)
  ms['transition, shared trunk'] = max(one - branch, 0.)
  ms[f'transition, {ACTIONS} branches'] = every - ms['transition, shared trunk']
  return ms | {'between the parts': whole - sum(ms.values()), 'whole step': whole}


def of_run(workdir: str) -> list[common.Row]:
  """Rows of a finished run, from what it left."""
  folder = pathlib.Path(workdir)
  lines = [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]
  lines = [line for line in lines if 'seconds' in line]
  training = lines[-1]['seconds']
  waiting = statistics.fmean(line['waiting_for_data'] for line in lines)
  evaluation = json.loads((folder / 'evaluation.json').read_text())['seconds']
  row = lambda part, seconds: {'part': part, 'ms': f'{1e3 * seconds:.0f}', 'share, %': ''}
  return [row(f'a run: {lines[-1]["step"]:,} steps', training),
          row(f'a run: of them waiting for data ({100 * waiting:.1f} %)', waiting * training),
          row('a run: evaluation at its end', evaluation)]


def main() -> None:
  parser = common.parser(__doc__, repeats=20)
  parser.add_argument('--run', default='', help='work directory of a finished run')
  flags = parser.parse_args()
  from configs import dsprites
  config = dsprites.get_config()
  times = common.in_turn(parts(config), flags.repeats)
  ms = split({name: 1e3 * statistics.median(of) for name, of in times.items()})
  rows = [{'part': name, 'ms': f'{value:.1f}', 'share, %': f'{100 * value / ms["whole step"]:.0f}'}
          for name, value in sorted(ms.items(), key=lambda item: item[1])]
  common.report('default_step', rows + (of_run(flags.run) if flags.run else []), flags.results,
                times={'default step': times}, note=f'Medians of {flags.repeats} rounds.')


if __name__ == '__main__':
  common.start(main)
