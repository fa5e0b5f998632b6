'use strict';
const $ = (id) => document.getElementById(id);
const facts = JSON.parse($('facts').textContent);
const make = (tag, fields = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), fields);
  element.append(...children);
  return element;
};
document.documentElement.style.setProperty('--ratio', facts.width / facts.height);

// What the reader did: images since the first, each with the answer that led to it; `at` is shown.
let steps = [];
let at = 0;
let target = null;
let busy = false;
const current = () => steps[at]?.image;

// ---- Messages and requests

function say(text, working = false) {
  $('message').hidden = !text;
  $('message').classList.toggle('busy', working);
  $('message').firstChild.textContent = text;
}
$('message').lastChild.addEventListener('click', () => say(''));

// One request at a time; whatever fails is said, and gives null.
async function ask(path, body, waiting) {
  if (busy) return null;
  busy = true;
  document.body.setAttribute('aria-busy', 'true');
  say('');
  const patience = setTimeout(() => say(waiting, true), 400);
  let problem = '';
  try {
    const raw = body instanceof Blob;
    const response = await fetch(path, {
      method: 'POST', body: raw ? body : JSON.stringify(body),
      headers: {'Content-Type': raw ? 'application/octet-stream' : 'application/json'}});
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return answer;
    problem = answer.error || `The request failed (${response.status}).`;
  } catch (error) {
    problem = 'No answer: is cvq still running in the terminal?';
  } finally {
    clearTimeout(patience);
    busy = false;
    document.body.removeAttribute('aria-busy');
    say(problem);
  }
  return null;
}

// ---- Showing

function picture(figure, uri, alt) {
  const image = figure.querySelector('img');
  image.hidden = !uri;
  image.parentElement.classList.toggle('empty', !uri);
  if (uri) Object.assign(image, {src: uri, alt});
}

function outlines(svg, grid) {
  svg.replaceChildren();
  svg.setAttribute('viewBox', `0 0 ${facts.columns} ${facts.rows}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  if (!grid || !$('show').checked) return;
  grid.forEach((row, y) => row.forEach((count, x) => {
    if (!count) return;
    const cell = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
    const fields = {x: x + .06, y: y + .06, width: .88, height: .88,
                    'stroke-opacity': .35 + .65 * count / facts.codebooks};
    for (const [name, value] of Object.entries(fields)) cell.setAttribute(name, value);
    svg.append(cell);
  }));
}

function show() {
  const step = steps[at];
  const answer = step?.answer;
  $('before').hidden = !answer;
  if (answer) picture($('before'), steps[at - 1].image, 'The image before the action');
  picture($('now'), step?.image, answer ? `The image after ${step.label}` : 'The image');
  $('now').lastElementChild.textContent =
      answer ? `after ${step.label}` : step ? step.label : 'no image yet';
  outlines($('now').querySelector('svg'), answer?.moved.grid);
  $('maps').hidden = !answer;
  $('moved').textContent = '';
  if (answer) {
    const {codes, of, positions, places} = answer.moved;
    $('moved').textContent =
        `${step.label} moved ${codes} of ${of} codes, in ${positions} of ${places} positions.`;
    Object.assign($('mask'), {src: answer.mask.uri, alt:
        `Mask over the positions, ${(100 * answer.mask.share).toFixed(0)} percent on average`});
    Object.assign($('graph'), {src: answer.graph.uri, alt:
        `Matrix of edge weights among ${answer.graph.nodes} nodes`});
    $('graph-note').textContent =
        `${answer.graph.nodes} nodes; full blue ${answer.graph.limit.toPrecision(2)}`;
  }
  // Replaced in place, so that the focus of a keyboard stays.
  const strip = $('history');
  while (strip.children.length > steps.length) strip.lastChild.remove();
  steps.forEach(({image, label}, i) => {
    if (!strip.children[i]) {
      const button = make('button', {type: 'button'}, make('img', {alt: ''}), make('span'));
      button.addEventListener('click', () => { if (!busy) go(i); });
      strip.append(make('li', {}, button));
    }
    const button = strip.children[i].firstChild;
    button.setAttribute('aria-current', i === at);
    if (button.firstChild.src !== image) button.firstChild.src = image;
    button.lastChild.textContent = label;
  });
  // The strip alone: scrollIntoView would move the page too, from under the reader's finger.
  const chosen = strip.children[at];
  if (chosen) {
    const left = chosen.offsetLeft - strip.offsetLeft;
    const least = left + chosen.offsetWidth - strip.clientWidth;
    strip.scrollLeft = Math.min(Math.max(strip.scrollLeft, least), left);
  }
  picture($('from'), current(), 'The image above');
  picture($('to'), target, 'The second image');
}

function go(i) {
  at = i;
  forget();
  show();
}

function forget() {
  $('answer').replaceChildren();
  $('truth').hidden = true;
}

function put(slot, {image, notes = []}, label) {
  if (slot === 'x') {
    steps = [{image, label}];
    at = 0;
  } else {
    target = image;
  }
  $(`note-${slot}`).hidden = !notes.length;
  $(`note-${slot}`).textContent = notes.join(' ');
  forget();
  show();
}

// ---- Choosing images

const random = async (slot) => {
  const answer = await ask('random', {steps: 0}, 'Drawing …');
  if (answer) put(slot, answer, 'random');
};

async function upload(slot, file, label = 'uploaded') {
  if (busy) return false;
  if (file.size > facts.maxBody) {
    say(`The file has ${(file.size / 2 ** 20).toFixed(1)} MB; at most ${
        facts.maxBody / 2 ** 20} MB are taken.`);
    return false;
  }
  const answer = await ask('upload', file, 'Reading …');
  if (answer) put(slot, answer, label);
  return Boolean(answer);
}

for (const button of document.querySelectorAll('[data-random]')) {
  button.addEventListener('click', () => random(button.dataset.random));
}
for (const input of document.querySelectorAll('[data-upload]')) {
  input.addEventListener('change', async () => {
    if (input.files[0]) await upload(input.dataset.upload, input.files[0]);
    input.value = '';
  });
}
for (const area of document.querySelectorAll('[data-drop]')) {
  const over = (on) => (event) => {
    event.preventDefault();
    area.classList.toggle('over', on);
  };
  area.addEventListener('dragover', over(true));
  area.addEventListener('dragleave', over(false));
  area.addEventListener('drop', (event) => {
    over(false)(event);
    const file = event.dataTransfer.files[0];
    if (file) upload(area.dataset.drop, file);
  });
}
document.addEventListener('paste', (event) => {
  const file = [...event.clipboardData.files].find((one) => one.type.startsWith('image/'));
  if (file) upload('x', file, 'pasted');
});

// ---- Intervening

for (const button of document.querySelectorAll('[data-action]')) {
  button.addEventListener('click', async () => {
    const {action} = button.dataset;
    if (!current()) return say('Choose an image first.');
    const answer = await ask('intervene', {image: current(), action}, 'Computing …');
    if (!answer) return;
    steps = [...steps.slice(0, at + 1), {image: answer.image, label: action, answer}];
    go(steps.length - 1);
  });
}
$('undo').addEventListener('click', () => { if (!busy && at) go(at - 1); });
$('reset').addEventListener('click', () => {
  if (busy) return;
  steps = steps.slice(0, 1);
  go(0);
});
$('show').addEventListener('change', show);

// ---- Explaining

$('take').addEventListener('click', () => {
  if (busy) return;
  if (!current()) return say('Choose an image above first.');
  put('y', {image: current()});
});
$('pair')?.addEventListener('click', async () => {
  const answer = await ask('random', {steps: Number($('apart').value)}, 'Drawing …');
  if (!answer) return;
  put('y', {image: answer.target});
  put('x', answer, 'random');
  $('truth').hidden = false;
  $('truth').replaceChildren(make('details', {},
      make('summary', {textContent: 'Show the true actions'}), answer.truth.join(', ')));
});

async function explain(path, more, waiting, draw) {
  if (busy) return;
  if (!current() || !target) return say('Two images are needed: one above, and a second one.');
  const answer = await ask(path, {image: current(), target, ...more}, waiting);
  if (answer) $('answer').replaceChildren(...draw(answer));
}
$('rank').addEventListener('click', () => explain('retrieve', {}, 'Ranking …', ({ranked}) => {
  const rows = ranked.map(({action, probability}) => {
    const bar = make('div');
    bar.style.width = `${100 * probability}%`;
    return make('tr', {}, make('th', {textContent: action, scope: 'row'}),
                make('td', {className: 'track'}, bar),
                make('td', {className: 'number', textContent: `${(100 * probability).toFixed(1)}%`}));
  });
  return [make('table', {className: 'bars'},
               make('caption', {textContent: 'Probability that one action led from the first image '
                   + 'to the second.'}), make('tbody', {}, ...rows))];
}));
$('plan').addEventListener('click', () => explain(
    'plan', {steps: Number($('steps').value)},
    'Searching … The first search also compiles.', ({actions, images}) => {
      const title = actions.length ? `${actions.length} action${actions.length > 1 ? 's' : ''}: ${
          actions.join(', ')}` : 'Nothing to do: both images have the same codes.';
      const frames = images.map((image, i) => make('li', {},
          make('img', {src: image, alt: ''}),
          make('span', {textContent: i ? actions[i - 1] : 'from'})));
      frames.push(make('li', {}, make('img', {src: target, alt: ''}),
                       make('span', {textContent: 'to'})));
      return [make('p', {}, make('b', {textContent: title})),
              make('ol', {className: 'film large', ariaLabel: 'Plan'}, ...frames)];
    }));

show();
if (document.querySelector('[data-random]')) random('x');
