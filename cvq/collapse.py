"""Notices a mask or a graph that says the same of every variable: all on, or all off.

Such a model may still lower its loss, so nothing stops it; it is said once, with what to try.
"""

from __future__ import annotations

_EDGE = .002                   # share of variables or of edges that is left, from either end
_REMEDIES = {
    ('mask', 'off'): ('no action changes anything',
                      'a larger --config.loss.retrieval or --config.loss.action_nll'),
    ('mask', 'on'): ('every action changes everything, and nothing is copied from x',
                     'a longer --config.pretrain.steps or a lower --config.train.learning_rate'),
    ('graph', 'off'): ('no variable depends on another',
                       'a smaller --config.loss.graph_size or --config.loss.edge_kl, or if both '
                       'are 0 a lower --config.train.learning_rate'),
    ('graph', 'on'): ('every variable depends on every other',
                      'a larger --config.loss.graph_size or --config.loss.edge_kl')}


def collapsed(means: dict[str, float], variables: int, nodes: float) -> dict[str, str]:
  """What has collapsed, by 'mask off', 'mask on', 'graph off' and 'graph on', with a line on it.

  Args:
    means: of a line of the log. Of interest are, where they are there, `mask_size`: variables that
      an action intervenes on, and `graph_size`: parents of a node.
    variables: V. nodes: of the graph, those that a node may hear, itself too, on average; a graph
      of a single node tells nothing.
  """
  shares = {}
  if 'mask_size' in means:
    shares['mask'] = means['mask_size'] / variables
  if 'graph_size' in means and nodes > 1:
    shares['graph'] = means['graph_size'] / nodes
  found = {}
  for what, share in shares.items():
    if _EDGE <= share <= 1 - _EDGE:
      continue
    side = 'off' if share < _EDGE else 'on'
    meaning, remedy = _REMEDIES[what, side]
    found[f'{what} {side}'] = (
        f'Warning: the {what} is all {side} ({share:.2%} of it is on): {meaning}. Try {remedy}.')
  return found
