"""MCQ-VAE in PyTorch, as one would write it from the paper's description (DESIGN section 2).

Encoder: stride-2 4x4 convolutions, 3x3, residual blocks of 3x3 and 1x1, 1x1 to D. Decoder: the
mirror. Quantizer: K groups of channels, each with its own N codes. Images are NCHW.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

_SLOPE = .01


class ResidualBlock(nn.Module):
  """x + 1x1(act(3x3(act(x)))), without bias."""

  def __init__(self, width: int):
    super().__init__()
    self.spatial = nn.Conv2d(width, width, 3, padding=1, bias=False)
    self.pointwise = nn.Conv2d(width, width, 1, bias=False)

  def forward(self, x):
    h = self.spatial(F.leaky_relu(x, _SLOPE))
    return x + self.pointwise(F.leaky_relu(h, _SLOPE))


class Quantizer(nn.Module):
  """Each of K groups of channels to the nearest of its N codes, gradient straight through."""

  def __init__(self, codebooks: int, codes: int, dim: int):
    super().__init__()
    self.codebook = nn.Parameter(torch.randn(codebooks, codes, dim) / dim ** .5)

  def forward(self, z):
    """z: [B, D, H, W] -> straight-through, chosen vectors, codes [B, K, H*W]."""
    b, d, h, w = z.shape
    k = self.codebook.shape[0]
    groups = z.reshape(b, k, d // k, h * w).permute(1, 0, 3, 2).reshape(k, b * h * w, d // k)
    with torch.no_grad():
      codes = torch.cdist(groups, self.codebook).argmin(-1)                  # [K, B*H*W]
    chosen = torch.stack([F.embedding(c, book) for c, book in zip(codes, self.codebook)])
    chosen = chosen.reshape(k, b, h * w, d // k).permute(1, 0, 3, 2).reshape(b, d, h, w)
    codes = codes.reshape(k, b, h * w).permute(1, 0, 2)
    return z + (chosen - z).detach(), chosen, codes


class MCQVAE(nn.Module):
  """The autoencoder and its loss."""

  def __init__(self, *, channels: int, widths: tuple[int, ...], residual_blocks: int,
               latent_dim: int, codebooks: int, codes: int):
    super().__init__()
    last, blocks = widths[-1], range(residual_blocks)
    self.down = nn.ModuleList(
        nn.Conv2d(i, o, 4, stride=2, padding=1) for i, o in zip((channels, *widths), widths))
    self.encoder_mix = nn.Conv2d(last, last, 3, padding=1)
    self.encoder_blocks = nn.Sequential(*(ResidualBlock(last) for _ in blocks))
    self.encoder_out = nn.Conv2d(last, latent_dim, 1)
    self.quantizer = Quantizer(codebooks, codes, latent_dim // codebooks)
    self.decoder_mix = nn.Conv2d(latent_dim, last, 3, padding=1)
    self.decoder_blocks = nn.Sequential(*(ResidualBlock(last) for _ in blocks))
    outputs = (*widths[-2::-1], channels)
    self.up = nn.ModuleList(
        nn.ConvTranspose2d(i, o, 4, stride=2, padding=1) for i, o in zip((last, *outputs), outputs))

  def encode(self, x):
    for layer in self.down:
      x = F.leaky_relu(layer(x), _SLOPE)
    x = F.leaky_relu(self.encoder_mix(x), _SLOPE)
    return self.encoder_out(F.leaky_relu(self.encoder_blocks(x), _SLOPE))

  def decode(self, z):
    x = F.leaky_relu(self.decoder_blocks(self.decoder_mix(z)), _SLOPE)
    for layer in self.up[:-1]:
      x = F.leaky_relu(layer(x), _SLOPE)
    return self.up[-1](x)

  def forward(self, images):
    """[B, C, H, W] in [0, 1] -> reconstruction and the three terms of the loss."""
    z = self.encode(images)
    vectors, chosen, _ = self.quantizer(z)
    outputs = self.decode(vectors)
    k = self.quantizer.codebook.shape[0]
    return outputs, {'reconstruction': F.mse_loss(outputs, images),
                     'codebook': k * F.mse_loss(chosen, z.detach()),
                     'commitment': k * F.mse_loss(z, chosen.detach())}


def copy_weights(model: MCQVAE, params: Any) -> None:
  """Gives the PyTorch model the weights of ours; params: of `CTVAE`, as arrays."""
  tensor = lambda x: torch.from_numpy(x.copy())

  def convolution(layer, p, transposed=False):
    # Ours are [rows, columns, in, out]; a transposed kernel is stored here as of the gradient.
    kernel = p['kernel'][::-1, ::-1].transpose(2, 3, 0, 1) if transposed else \
        p['kernel'].transpose(3, 2, 0, 1)
    layer.weight.copy_(tensor(kernel))
    if 'bias' in p:
      layer.bias.copy_(tensor(p['bias']))

  with torch.no_grad():
    encoder, decoder = params['encoder'], params['decoder']
    for i, layer in enumerate(model.down):
      convolution(layer, encoder[f'down_{i}'])
    for i, layer in enumerate(model.up):
      convolution(layer, decoder[f'up_{i}'], transposed=True)
    for part, blocks in ((encoder, model.encoder_blocks), (decoder, model.decoder_blocks)):
      for i, block in enumerate(blocks):
        convolution(block.spatial, part[f'residual_{i}']['spatial'])
        convolution(block.pointwise, part[f'residual_{i}']['pointwise'])
    convolution(model.encoder_mix, encoder['mix'])
    convolution(model.encoder_out, encoder['out'])
    convolution(model.decoder_mix, decoder['mix'])
    model.quantizer.codebook.copy_(tensor(params['quantizer']['codebook']))
