"""Every field of an experiment, with its default and its meaning.

A dataset's file (configs/dsprites.py) starts from `base()` and changes what it must; a preset
changes more. The defaults below are the default model: patch-local codes, tied embeddings.
"""

from typing import Any

from ml_collections import ConfigDict

from cvq.errors import UserError


def base() -> ConfigDict:
  """The default experiment, still without a dataset."""
  c = ConfigDict()
  c.name = ''                       # of the dataset's file; the run goes to runs/NAME[-PRESET]
  c.preset = ''
  c.method = 'ct_vae'               # the baselines' configs change it: configs/baselines/
  c.seed = 0

  c.dataset = d = ConfigDict()
  d.name = ''
  d.source = ''
  d.data_dir = ''                   # empty: $CVQ_DATA_DIR, else ~/.cache/cvq
  d.splits = 'random'               # random | compositional | published: what is for testing
  d.split_seed = 0
  d.fractions = (.70, .15, .15)     # train, validation, test; of images
  d.held_out = ''                   # compositional: never seen together, 'shape=1-2,posX=0-9'
  d.transitions_per_step = 0        # of each step of a factor; training has its share; 0: all
  d.actions = 'levelled'            # levelled | natural: in training, in proportion to transitions
  d.imbalance = ''                  # most to least frequent value: 'shape=10,posX=5', or '10'

  c.model = m = ConfigDict()
  m.latent_dim = 64                 # D, divided among the codebooks
  m.likelihood = 'bernoulli'        # bernoulli | gaussian
  m.posterior = 'both'              # both | forward: y from x, and x from y by the opposite
  m.temperature = 1.                # of the posterior, at first; learned
  m.encoder = e = ConfigDict()
  e.name = 'patch'                  # patch | conv
  e.width = 192
  e.patch = 8                       # patch: pixels a side; the grid is image / patch
  e.margin = 2                      # patch: pixels seen beyond the patch on every side
  e.widths = (64, 128, 256)         # conv: one stride-2 stage each
  e.residual_blocks = 6             # conv
  m.decoder = e = ConfigDict()
  e.name = 'patch'                  # patch | conv
  e.width = 128
  e.inner = 64                      # patch: channels a patch shows to its neighbours
  e.patch = 8
  e.widths = (256, 128, 64)         # conv: mirror of the encoder's
  e.residual_blocks = 6
  e.bias = 0.                       # of the pixel logits at the start
  m.quantizer = q = ConfigDict()
  q.codebooks = 4                   # K
  q.codes = 128                     # N
  q.unit = True                     # latents and codes on the unit sphere of their codebook
  q.learning = 'gradient'           # of the codes: gradient | ema
  q.decay = .99                     # ema
  q.gradient = 'straight_through'   # from codes to latents: straight_through | rotation
  q.init = 'random'                 # random | data (k-means on the first batch)
  q.revive_every = 50               # steps between revivals of codes not used since; 0: never
  q.revive_until = .6               # share of the steps of pretrain and train
  m.transition = t = ConfigDict()
  t.name = 'tied'                   # tied | graph (the paper's)
  t.width = 128                     # tied: of a node
  t.messages = 'offsets'            # tied: offsets (a map for each offset of parents) | attention
  t.reach = 2                       # offsets: positions from a node to its parents, at most
  t.inner = 32                      # offsets: channels of a message
  t.heads = 4                       # attention
  t.mlp = 256                       # tied
  t.rounds = 1                      # tied: of messages along the edges
  t.alternatives = 1                # tied: L, outcomes of an action, of which one comes true
  t.edges = 'learned'               # tied: learned | all | none, every node its own parent alone
  t.edge_hidden = 32                # hidden width of the edge scorer (800 in the paper)
  t.attention = 'gatv2'             # graph: gatv2 | dot
  t.self_edges = 'learned'          # graph: learned | all, every node is a parent of itself
  t.mistake = 'none'                # graph: one of the published code's; cvq/models/published.py
  t.hidden = 100                    # graph: of a head of the first layer
  t.noise = 'off'                   # off | exo | endo
  t.noise_scale = 1.
  t.sampling = 'mean'               # of the graph in training: gumbel | mean
  t.evaluation_sampling = 'mean'    # mean | threshold; tied: of edges and the mask that is shown
  t.mask_temperature = 1.
  t.graph_temperature = 1.

  m.global_level = g = ConfigDict()   # variables of the whole image, one for each factor
  g.codes = 256                     # N of each; 0: no global level
  g.width = 128
  g.inner = 48                      # channels a position shows to its neighbours

  c.loss = w = ConfigDict()         # a weight for each term; its curve in the log has its name
  w.reconstruction = 200.           # mean over pixels, x and y
  w.codebook = 20.
  w.commitment = 5.
  w.code_entropy = 0.               # codes used alike, each latent sure of its own
  w.action_nll = .02                # sum over variables
  w.action_image = 200.             # reconstruction of y from the predicted vectors
  w.retrieval = 1.                  # cross-entropy of the posterior over actions
  w.base_nll = 0.
  w.base_identity_nll = 0.
  w.base_graph = 0.                 # MSE(G, I)
  w.edge_kl = 0.
  w.edge_prior = .1                 # probability of an edge under the prior
  w.graph_size = 0.
  w.no_parent = 0.
  w.global_own = 1.                 # squared error of a step, of the variable that it moves
  w.global_others = 1.              # of all others, summed
  w.global_spacing = .1             # what the codes of the global level learn their places from
  w.global_offset = .01

  c.pretrain = p = ConfigDict()     # reconstruction only
  p.steps = 150
  p.batch_size = 64
  p.learning_rate = 2e-3
  p.warmup = 100
  p.decay = 'constant'              # constant | cosine | exponential
  p.decay_rate = 1.                 # exponential: factor every decay_every steps
  p.decay_every = 1

  c.train = t = ConfigDict()
  t.steps = 3850
  t.batch_size = 16                 # x per step, over all devices and processes
  t.targets = 4                     # targets per x
  t.drawn = 1                       # of these, at most so many are drawn; of others codes count
  t.predicted = 'worst'             # whose prediction is drawn: worst (least likely) | first
  t.modes = 'mixed'                 # mixed (all three on every batch) | alternate
  t.mode_weights = (1., 1., 1.)     # alternate: base, action, causal
  t.split_at = .3                   # mixed: share of the steps after which alternatives part
  t.trainable = 'all'               # all | transition (two stages: the autoencoder is frozen)
  t.optimizer = 'muon'              # of all stages: muon (kernels; all else by Adam) | adam
  t.learning_rate = 2e-3
  t.warmup = 0
  t.decay = 'cosine'
  t.decay_rate = 1.
  t.decay_every = 1
  t.b2 = .99                        # of Adam
  t.clip = 1.                       # global norm of the gradient; 0: no clipping
  t.weight_decay = 0.               # of kernels, decoupled from the gradient
  t.products = 'float32'            # inputs of those of the loss: float32 | bfloat16 (rounded)

  c.train_global = g = ConfigDict()   # the global level alone, last; the rest is frozen
  g.steps = 1600
  g.batch_size = 32
  g.targets = 4
  g.learning_rate = 2e-3
  g.warmup = 50
  g.decay = 'cosine'
  g.decay_rate = 1.
  g.decay_every = 1

  c.evaluation = e = ConfigDict()
  e.split = 'test'                  # train | validation | test
  e.examples = 6144                 # transitions: a seeded share of the split
  e.batch_size = 64
  e.seed = 0
  e.during = 512                    # validation transitions in the evaluations during training
  e.oracle_steps = 4500             # report: of 128 images; reads factors off what a model draws
  e.plan_pairs = 64                 # report: images and targets 2, 4 and 8 actions apart, each
  e.plan_beam = 8                   # report: plans kept at every length of the search

  c.log = g = ConfigDict()
  g.every = 20                      # steps between lines of metrics.jsonl
  g.evaluate_every = 800
  g.picture_every = 800
  g.trace = 0                       # steps of train to trace, for TensorBoard's profiler; 0: none

  c.checkpoint = k = ConfigDict()
  k.every = 400
  k.keep_last = 2
  k.keep_best = 1
  return c


PRESETS = ('smoke', 'best', 'paper')
_SHORTHANDS = {'batch': 'train.batch_size', 'steps': 'train.steps', 'seed': 'seed'}


def experiment(arg: str, name: str, source: str, *, images: int, transitions: int,
               fields: dict[str, Any] | None = None) -> ConfigDict:
  """A preset on a dataset.

  Args:
    arg: of get_config: a preset and shorthands, as in 'smoke,batch=8'.
    name, source: of the dataset.
    images, transitions: of the training split, as the paper samples them: for each step of a
      factor, both ways, its share (70 %) of 1,000 pairs, or all that have both ends in it.
    fields: of the default model that suit the dataset better, by their dotted names; a preset may
      change them again.

  Raises:
    UserError: an unknown preset or shorthand.
  """
  config = base()
  config.preset, shorthands = _parse(arg)
  config.name = config.dataset.name = name
  config.dataset.source = source
  config.update_from_flattened_dict(fields or {})
  if config.preset == 'smoke':
    _smoke(config)
  elif config.preset == 'best':
    _best(config)
  elif config.preset == 'paper':
    _paper(config, images, transitions)
  config.update_from_flattened_dict(shorthands)
  return config


def _parse(arg: str) -> tuple[str, dict[str, int]]:
  """'smoke,batch=8' -> ('smoke', {'train.batch_size': 8}). Raises UserError."""
  name, fields = '', {}
  for part in filter(None, arg.split(',')):
    key, equals, value = part.partition('=')
    if not equals:
      if key not in PRESETS:
        raise UserError(f'Unknown preset {key!r}.\nPresets: (none), {", ".join(PRESETS)}; '
                        'for example --config=configs/dsprites.py:smoke')
      name = key
    elif key not in _SHORTHANDS or not value.isdecimal():
      raise UserError(f'Unknown shorthand {part!r}.\nShorthands, each a whole number: '
                      f'{", ".join(_SHORTHANDS)}; everything else by --config.FIELD=VALUE')
    else:
      fields[_SHORTHANDS[key]] = int(value)
  return name, fields


def _smoke(config: ConfigDict) -> None:
  """Everything once, in about a minute on two CPU cores; learns little."""
  config.model.encoder.width = 64
  config.model.decoder.width = config.model.decoder.inner = 32
  config.model.quantizer.codes = 64
  config.model.transition.width = 64
  config.model.transition.mlp = 64
  config.pretrain.steps = 60
  config.pretrain.warmup = 20
  config.train.steps = 240
  config.train.drawn = 4             # so few steps have to teach the decoder too
  config.model.global_level.update(width=32, inner=16)
  config.train_global.steps = 60
  config.train_global.warmup = 10
  config.evaluation.examples = 512
  config.evaluation.during = 256
  config.evaluation.oracle_steps = 300
  config.evaluation.plan_pairs = 16
  config.log.every = 10
  config.log.evaluate_every = config.log.picture_every = config.checkpoint.every = 100


def _best(config: ConfigDict) -> None:
  """Three times as many joint steps; a second round of messages and alternatives pay only then."""
  config.model.transition.rounds = config.model.transition.alternatives = 2
  config.train.steps *= 3
  config.train_global.steps *= 2


def _paper(config: ConfigDict, images: int, transitions: int) -> None:
  """Gendron et al. 2023, its widths, losses, two stages and schedules, its mistakes mended.

  Coefficients of the paper (Shapes3D): beta .1, gamma 1.5, alpha .01, beta .4, delta .01,
  epsilon .1. Sums over variables stand where the published code took means over 64 of them; so
  does the posterior's, which starts at the mean by its temperature: from the sum, the noise of
  sampled masks and graphs drowns what it could learn.
  """
  config.dataset.transitions_per_step = 1000
  config.dataset.actions = 'natural'

  m = config.model
  m.latent_dim = 128
  m.likelihood = 'gaussian'
  m.posterior = 'forward'
  m.temperature = 64.
  m.encoder.name = m.decoder.name = 'conv'
  m.decoder.bias = 0.
  m.quantizer.codebooks = 1
  m.quantizer.codes = 64
  m.quantizer.unit = False
  m.quantizer.revive_every = 0
  m.transition.name = 'graph'
  m.transition.self_edges = 'all'    # PyTorch Geometric, which the published code uses, adds them
  m.transition.edge_hidden = 800
  m.transition.sampling = 'gumbel'
  m.global_level.codes = config.train_global.steps = 0

  w = config.loss
  gamma = 1.5
  w.reconstruction = 1.
  w.codebook = 1.
  w.commitment = .1
  w.action_nll = gamma / 64
  w.action_image = 0.
  w.retrieval = gamma
  w.base_nll = gamma / 64
  w.base_identity_nll = gamma * .01 / 64
  w.base_graph = gamma * .01
  w.edge_kl = gamma * .4
  w.edge_prior = .1
  w.graph_size = gamma * .01 / 64
  w.no_parent = gamma * .1

  p, t = config.pretrain, config.train
  p.batch_size = 32                  # of pairs, whose images are both encoded: 64
  p.learning_rate = t.learning_rate = 5e-4
  p.warmup = 0
  p.decay = t.decay = 'exponential'
  p.decay_rate, t.decay_rate = .98, .994
  t.batch_size = 16
  t.targets = 1
  t.predicted = 'first'
  t.modes = 'alternate'
  t.optimizer = 'adam'
  t.trainable = 'transition'
  t.b2 = .999
  t.clip = 0.
  config.log.every = 100
  config.log.evaluate_every = config.log.picture_every = config.checkpoint.every = 5000
  t.mode_weights = (float(images), float(transitions), float(transitions))
  p.decay_every = max(images // (2 * p.batch_size), 1)
  p.steps = 20 * p.decay_every
  t.decay_every = max((images + 2 * transitions) // t.batch_size, 1)
  t.steps = 100 * t.decay_every
