"""The paper's causal-transition layer in PyTorch, as one would write it from DESIGN section 3.

An MLP on the concatenated features of every pair of nodes, dense GATv2 with all heads, and one
pass over the graph for each hypothetical action. B images, V variables, N codes, A actions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

_SMALLEST = 1e-4


class GraphAttention(nn.Module):
  """Dense GATv2 (Brody et al. 2022) whose edge attribute, the weight of the edge, also gates it."""

  def __init__(self, heads: int, inputs: int, outputs: int):
    super().__init__()
    self.heads = heads
    self.child = nn.Linear(inputs, heads * outputs)
    self.parent = nn.Linear(inputs, heads * outputs)
    self.score = nn.Parameter(torch.randn(heads, outputs) / outputs ** .5)
    self.edge = nn.Parameter(torch.randn(heads, outputs) / outputs ** .5)
    self.bias = nn.Parameter(torch.zeros(heads, outputs))

  def forward(self, nodes, weights):
    """nodes: [B, U, n]. weights: [B, U, U], row = child -> [B, U, heads, outputs]."""
    split = lambda x: x.unflatten(-1, (self.heads, -1))
    child, parent = split(self.child(nodes)), split(self.parent(nodes))
    pairs = child[:, :, None] + parent[:, None] + weights[..., None, None] * self.edge
    scores = (F.leaky_relu(pairs, .2) * self.score).sum(-1)                  # [B, U, U, heads]
    weights = weights[..., None]
    top = (scores + weights.clamp_min(_SMALLEST).log()).amax(2, keepdim=True).detach()
    mass = (scores - top).exp() * weights
    total = mass.sum(2, keepdim=True)
    # Not a clamp: its gradient ends at 1, where a node has one parent.
    attention = mass / torch.where(total < 1, 1., total)
    return torch.einsum('buvr,bvrf->burf', attention, parent) + self.bias


class Edges(nn.Module):
  """An MLP on [child; parent] for each mechanism, 2N -> hidden -> 1."""

  def __init__(self, mechanisms: int, inputs: int, hidden: int):
    super().__init__()
    self.kernel = nn.Parameter(torch.randn(mechanisms, 2 * inputs, hidden) / (2 * inputs) ** .5)
    self.bias = nn.Parameter(torch.zeros(mechanisms, 1, hidden))
    self.out_kernel = nn.Parameter(torch.randn(mechanisms, hidden, 1) / hidden ** .5)
    self.out_bias = nn.Parameter(torch.zeros(mechanisms, 1, 1))

  def forward(self, nodes, mechanism):
    """nodes: [B, V, n]. mechanism: [B], of each image -> log-odds [B, V, V]."""
    b, v, n = nodes.shape
    pairs = torch.cat([nodes[:, :, None].expand(b, v, v, n), nodes[:, None].expand(b, v, v, n)], -1)
    hidden = torch.baddbmm(self.bias[mechanism], pairs.flatten(1, 2), self.kernel[mechanism])
    hidden = F.leaky_relu(hidden, .2)
    scores = torch.baddbmm(self.out_bias[mechanism], hidden, self.out_kernel[mechanism])
    return scores.view(b, v, v)


class CTLayer(nn.Module):
  """Logits of the codes of y from the codes of x and an action."""

  def __init__(self, *, variables: int, codes: int, actions: int, edge_hidden: int, hidden: int,
               gumbel: bool):
    super().__init__()
    self.codes, self.gumbel = codes, gumbel
    self.edges = Edges(1 + actions, codes, edge_hidden)
    self.mask_hidden, self.mask_out = nn.Linear(codes, 64), nn.Linear(64, actions)
    self.action = nn.Embedding(actions, codes)
    self.first = GraphAttention(1 + actions, codes, hidden)
    self.last = GraphAttention(1 + actions, (1 + actions) * hidden, codes)
    column = torch.arange(codes)
    angle = torch.arange(variables)[:, None] * 1e4 ** (-2 * (column // 2) / codes)
    self.register_buffer('position', torch.where(column % 2 == 0, angle.sin(), angle.cos()))

  def sample(self, logits):
    """Bernoulli variables: straight-through Gumbel samples, or means."""
    if not self.gumbel:
      return logits.sigmoid()
    uniform = torch.rand_like(logits).clamp(1e-7, 1 - 1e-7)
    logits = logits + uniform.logit()
    soft = logits.sigmoid()
    return (logits > 0).to(soft.dtype) + soft - soft.detach()

  def forward(self, codes, action):
    """codes: [B, V]. action: [B], or None for none -> [B, V, N]."""
    nodes = F.one_hot(codes, self.codes).to(self.position.dtype) + self.position
    b, v, n = nodes.shape
    weigh = lambda logits: logits.sigmoid() * self.sample(logits)
    graph = weigh(self.edges(nodes, torch.zeros(b, dtype=torch.long)))
    if action is None:
      mask, embedding = nodes.new_zeros(b, v), nodes.new_zeros(b, n)
      head = torch.zeros_like(codes[:, 0])
    else:
      logits = self.mask_out(F.gelu(self.mask_hidden(nodes), approximate='tanh'))
      mask = self.sample(logits[torch.arange(b), :, action])
      own = weigh(self.edges(nodes, 1 + action))
      graph = (1 - mask[..., None]) * graph + mask[..., None] * own
      embedding, head = self.action(action), 1 + action
    # The action is one more node: a parent of what it intervenes on, and of itself.
    column = torch.cat([mask, mask.new_ones(b, 1)], 1)[..., None]
    weights = torch.cat([F.pad(graph, (0, 0, 0, 1)), column], 2)
    nodes = torch.cat([nodes, embedding[:, None]], 1)
    hidden = F.elu(self.first(nodes, weights)).flatten(2)
    out = self.last(hidden, weights)[:, :v]                                  # [B, V, heads, N]
    m = mask[..., None]
    return (1 - m) * out[:, :, 0] + m * out[torch.arange(b), :, head]

  def log_probability(self, codes, targets, actions):
    """Of every code of y, one pass for each hypothesis.

    Args:
      codes, targets: [B, V]. actions: [B, M], or None for none.

    Returns:
      [B, M, V].
    """
    columns = [None] if actions is None else actions.unbind(1)
    passes = [self(codes, action).log_softmax(-1).gather(-1, targets[..., None])[..., 0]
              for action in columns]
    return torch.stack(passes, 1)


def copy_weights(layer: CTLayer, params: Any) -> None:
  """Gives the PyTorch layer the weights of ours; params: of `GraphTransition`, as arrays."""
  tensor = lambda x: torch.from_numpy(x.copy())

  def dense(linear, kernel, bias):
    linear.weight.copy_(tensor(kernel.T))
    linear.bias.copy_(tensor(bias))

  with torch.no_grad():
    for name in ('kernel', 'bias', 'out_kernel', 'out_bias'):
      target = getattr(layer.edges, name)
      target.copy_(tensor(params['edges'][name]).view_as(target))
    mask = params['mask']
    dense(layer.mask_hidden, mask['hidden']['kernel'], mask['hidden']['bias'])
    dense(layer.mask_out, mask['out']['kernel'], mask['out']['bias'])
    layer.action.weight.copy_(tensor(params['action']['embedding']))
    for name, attention in (('first', layer.first), ('last', layer.last)):
      p = params[name]
      for part in ('child', 'parent'):
        kernel = p[f'{part}_kernel']                                         # [heads, n, f]
        dense(getattr(attention, part), kernel.transpose(1, 0, 2).reshape(kernel.shape[1], -1),
              p[f'{part}_bias'].reshape(-1))
      for part in ('score', 'edge', 'bias'):
        getattr(attention, part).copy_(tensor(p[part]))
