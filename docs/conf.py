"""The site: sphinx-build -W docs build/site. Nothing on it is loaded from the network."""

import re

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

import cvq

project, author, version = 'cvq', 'the authors of cvq', cvq.__version__
copyright = '%Y, the authors of cvq'                   # pylint: disable=redefined-builtin
extensions = ['myst_nb', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon']
exclude_patterns = ['_*', 'results/*', 'performance/*']

html_theme = 'furo'
html_title = f'cvq {version}'
html_static_path = ['site.css']
html_css_files = ['site.css']
html_math_renderer = 'mathml'
html_copy_source = html_show_sourcelink = False
html_favicon = None
html_theme_options = {'sidebar_hide_name': False, 'navigation_with_keys': True}
highlight_language = 'text'
pygments_style, pygments_dark_style = 'default', 'github-dark'

nb_execution_mode = 'off'                              # the stored outputs are shown
nb_merge_streams = True
myst_enable_extensions = ['dollarmath']
myst_heading_anchors = 3
suppress_warnings = ['myst.xref_missing.download']

autodoc_inherit_docstrings = False
autodoc_member_order = 'bysource'
autodoc_typehints_format = 'short'
napoleon_custom_sections = ['Returns', ('Attributes', 'params_style')]   # Returns: text, no type


def _to_rst(app, what, name, obj, options, lines):
  """Docstrings are plain text with `code`; what reStructuredText would read otherwise is escaped."""
  for i, line in enumerate(lines):
    parts = re.split(r'(`[^`]+`)', line)
    lines[i] = ''.join(
        f'`{part}`' if part.startswith('`') and part.endswith('`') and len(part) > 2
        else re.sub(r'\*|\||_(?=\W|$)', r'\\\g<0>', part) for part in parts)


def _own_fields(app, what, name, obj, options, signature, annotation):
  """Fields of a Flax module without those that Flax adds to every one."""
  if what == 'class' and signature and 'parent:' in signature:
    signature = re.sub(r'(\(|, )parent: .*', ')', signature).removeprefix(')') or None
  return signature, annotation


def _mathml(block):
  def visit(self, node):
    text = tex2mathml(node.astext(), as_block=block)
    self.body.append(f'<div class="math">{text}</div>\n' if block else text)
    raise nodes.SkipNode
  return visit, None


def setup(app):
  """Formulas as MathML, which browsers draw themselves."""
  app.add_html_math_renderer('mathml', inline_renderers=_mathml(False),
                             block_renderers=_mathml(True))
  app.connect('autodoc-process-docstring', _to_rst, priority=400)      # before napoleon
  app.connect('autodoc-process-signature', _own_fields)
