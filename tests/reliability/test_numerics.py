"""What is not finite stops a run before it is saved; a model that collapses is noticed."""

import functools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cvq import checkpoints, collapse, objectives, steps, train
from cvq.errors import Diverged
from tests import small, tiny


def poison_codes(state):
  """One number of one code becomes NaN."""
  table = state.params['quantizer']['codebook'].at[0, 0, 0].set(jnp.nan)
  return state.replace(params=dict(state.params, quantizer={'codebook': table}))


def scalars_of(state, batch, model, optimizer, c):
  step = functools.partial(steps.train_step, model=model, optimizer=optimizer, config=c,
                           mode='mixed')
  return jax.tree.map(float, jax.jit(step)(state, batch)[1])


def test_a_code_that_is_not_a_number():
  c = small.config()
  model, optimizer, state = small.build(c)
  scalars = scalars_of(poison_codes(state), small.batch(), model, optimizer, c)
  with pytest.raises(Diverged, match='Step 3: .*codebook'):
    train.check_finite(scalars, 3, None)


def test_a_gradient_that_is_not_a_number_under_a_loss_that_is(monkeypatch):
  def with_a_root(params, *args, **kwargs):            # of 0: infinite slope, times 0
    value, aux = objective(params, *args, **kwargs)
    return value + jnp.sqrt(0. * params['log_temperature']), aux
  objective = objectives.objective
  monkeypatch.setattr(objectives, 'objective', with_a_root)
  c = small.config()
  model, optimizer, state = small.build(c)
  scalars = scalars_of(state, small.batch(), model, optimizer, c)
  assert math.isfinite(scalars['loss'])
  with pytest.raises(Diverged, match='Step 7: gradient_norm is not finite.*step 5'):
    train.check_finite(scalars, 7, 5)


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_no_state_with_such_a_number_is_saved(tmp_path, value):
  store = checkpoints.Checkpoints(str(tmp_path), keep_last=1, keep_best=0)
  state = {'params': {'w': np.ones((3, 2), np.float32)}, 'step': np.int32(1)}
  save = functools.partial(store.save, data={}, config=small.config(), progress={})
  save(1, state)
  store.wait()
  state['params']['w'][2, 1] = value
  with pytest.raises(Diverged, match=r'Step 2: params.w is not finite. .*checkpoint: step 1'):
    save(2, state)
  restored = store.restore(state)
  store.close()
  assert restored.step == 1 and np.isfinite(restored.state['params']['w']).all()


@pytest.mark.slow
def test_a_run_stops_before_it_saves_what_diverged_between_two_lines_of_the_log(
    tmp_path, monkeypatch):
  """Saved every 5 steps, logged every 20; a code breaks after step 11."""
  train_one = train.Loop._train_one

  def breaks(self, progress):
    train_one(self, progress)
    if self.step == 11:
      self.state = poison_codes(self.state)
  monkeypatch.setattr(train.Loop, '_train_one', breaks)
  config = tiny.get_config()
  config.log.every = 20
  with pytest.raises(Diverged, match='Step 12: .*Last good checkpoint: step 10') as error:
    train.train(config, str(tmp_path))
  assert error.value.code == 3 and len(str(error.value).splitlines()) <= 3
  saved = {int(path.name) for path in (tmp_path / 'checkpoints').iterdir() if path.name.isdigit()}
  assert max(saved) == 10
  rows = (tmp_path / 'metrics.jsonl').read_text().splitlines()
  assert all('train/loss' not in json.loads(row) for row in rows)


@pytest.mark.parametrize('means, found, remedy', [
  ({'mask_size': 0., 'graph_size': 3.}, {'mask off'}, 'loss.retrieval'),
  ({'mask_size': 8., 'graph_size': 3.}, {'mask on'}, 'pretrain.steps'),
  ({'mask_size': 1., 'graph_size': 1e-3}, {'graph off'}, 'loss.graph_size'),
  ({'mask_size': 1., 'graph_size': 4.}, {'graph on'}, 'loss.graph_size'),
  ({'mask_size': 8., 'graph_size': 0.}, {'mask on', 'graph off'}, 'Try'),
  ({'mask_size': .1, 'graph_size': .1}, set(), ''), ({'loss': 1.}, set(), '')])
def test_a_mask_or_graph_that_is_all_on_or_off(means, found, remedy):
  lines = collapse.collapsed(means, variables=8, nodes=4)
  assert lines.keys() == found
  assert all(remedy in line and '\n' not in line for line in lines.values())


def test_a_graph_of_one_node_tells_nothing():
  assert not collapse.collapsed({'graph_size': 1.}, variables=8, nodes=1)


def loop_of(c):
  """A loop at step 40 -> it, its model."""
  loop = train.Loop.__new__(train.Loop)
  model, _, _ = small.build(c)
  loop.config, loop.step, loop.warned = c, 40, set()
  loop.session = type('Session', (), {'model': model})
  return loop, model


def test_the_loop_says_it_once(capsys):
  c = small.config()
  loop, model = loop_of(c)
  nodes = math.prod(model.grid)
  variables = c.model.quantizer.codebooks * nodes
  for _ in range(2):
    loop._warn_of_collapse({'mask_size': float(variables), 'graph_size': nodes / 2})
  loop._warn_of_collapse({'mask_size': float(nodes), 'graph_size': float(nodes)})
  lines = capsys.readouterr().out.splitlines()
  assert [line.partition(' (')[0] for line in lines] == [
      'Step 40: Warning: the mask is all on', 'Step 40: Warning: the graph is all on']


def test_edges_that_are_given_have_not_collapsed(capsys):
  loop, model = loop_of(small.config(
      model__transition__name='tied', model__quantizer__unit=True, model__transition__edges='all'))
  loop._warn_of_collapse({'graph_size': float(math.prod(model.grid))})
  assert capsys.readouterr().out == ''
