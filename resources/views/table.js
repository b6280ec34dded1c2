// Rows of a query: a grid that sorts and filters, and a chart of two columns.
const state = { args: {}, columns: [], rows: [], more: false, sort: null, down: false, filter: '', mode: 'table', kind: 'bar', x: '', y: '' };
const shownAtOnce = 500;
const isNumber = value => typeof value === 'number';
const word = value => value === null || value === undefined ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value);
const numeric = column => state.rows.some(row => isNumber(row[column])) && state.rows.every(row => row[column] == null || isNumber(row[column]));

const view = {
  input(args) { state.args = args; },
  result(result) {
    const data = result.structuredContent;
    if (result.isError || !Array.isArray(data?.columns)) {
      show(texts(result).map(text => make('div', { class: result.isError ? 'block error' : 'block' }, linked(text))));
      return;
    }
    state.columns = data.columns.map(String);
    state.rows = data.data ?? [];
    state.more = data.has_more === true;
    state.y = state.columns.find(numeric) ?? '';
    state.x = state.columns.find(column => column !== state.y) ?? state.y;
    draw();
  },
};

function visibleRows() {
  const wanted = state.filter.toLowerCase();
  let rows = wanted ? state.rows.filter(row => state.columns.some(column => word(row[column]).toLowerCase().includes(wanted))) : [...state.rows];
  if (state.sort !== null) {
    const order = (a, b) => a == null ? (b == null ? 0 : 1) : b == null ? -1 : isNumber(a) && isNumber(b) ? a - b : word(a).localeCompare(word(b), undefined, { numeric: true });
    rows.sort((a, b) => (state.down ? -1 : 1) * order(a[state.sort], b[state.sort]));
  }
  return rows;
}

function grid() {
  const rows = visibleRows();
  const head = make('tr', {}, ...state.columns.map(column => make('th', {
    class: numeric(column) ? 'number' : '', 'aria-sort': state.sort === column ? (state.down ? 'descending' : 'ascending') : undefined,
    onclick: () => { state.down = state.sort === column && !state.down; state.sort = column; draw(); },
  }, column + (state.sort === column ? (state.down ? ' \u2193' : ' \u2191') : ''))));
  const body = rows.slice(0, shownAtOnce).map(row => make('tr', {}, ...state.columns.map(column =>
    make('td', { class: isNumber(row[column]) ? 'number' : row[column] == null ? 'empty' : '', title: word(row[column]) }, row[column] == null ? 'null' : word(row[column])))));
  return [make('div', { class: 'scroll' }, make('table', {}, make('thead', {}, head), make('tbody', {}, ...body))),
    make('div', { class: 'faint' }, `${Math.min(rows.length, shownAtOnce)} of ${rows.length} rows${state.more ? ', more in the dataset' : ''}`)];
}

function svg(tag, attributes, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function chart() {
  const width = 720, height = 320, left = 64, bottom = 44, top = 12;
  const rows = visibleRows().filter(row => isNumber(row[state.y])).slice(0, 200);
  if (!rows.length) return [make('div', { class: 'faint' }, 'No column with numbers to draw.')];
  const values = rows.map(row => row[state.y]);
  const low = Math.min(0, ...values), high = Math.max(0, ...values), span = high - low || 1;
  const y = value => top + (height - top - bottom) * (1 - (value - low) / span);
  const scatter = state.kind === 'scatter' && numeric(state.x);
  const xs = scatter ? rows.map(row => row[state.x]) : [];
  const first = Math.min(...xs), range = Math.max(...xs) - first || 1;
  const step = (width - left - 8) / rows.length;
  const x = index => scatter ? left + 6 + (width - left - 20) * (xs[index] - first) / range : left + step * (index + 0.5);
  const label = (row, value) => svg('title', {}, `${word(row[state.x])}: ${word(value)}`);
  const marks = state.kind === 'line'
    ? [svg('polyline', { points: values.map((value, i) => `${x(i)},${y(value)}`).join(' '), fill: 'none', stroke: 'var(--link)', 'stroke-width': 2 })]
    : values.map((value, i) => state.kind === 'bar'
      ? svg('rect', { x: x(i) - step * 0.4, y: Math.min(y(value), y(0)), width: Math.max(1, step * 0.8), height: Math.abs(y(value) - y(0)), fill: 'var(--link)' }, label(rows[i], value))
      : svg('circle', { cx: x(i), cy: y(value), r: 4, fill: 'var(--link)', 'fill-opacity': 0.7 }, label(rows[i], value)));
  const ticks = [low, low + span / 2, high].map(value => svg('text', { x: left - 6, y: y(value) + 4, 'text-anchor': 'end' },
    value.toLocaleString(undefined, { maximumSignificantDigits: 4 })));
  const every = Math.ceil(rows.length / 8);
  const names = rows.flatMap((row, i) => i % every ? [] : [svg('text', { x: x(i), y: height - bottom + 18, 'text-anchor': 'middle' }, word(row[state.x]).slice(0, 14))]);
  return [svg('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': `${state.y} by ${state.x}` },
    svg('line', { class: 'axis', x1: left, x2: width, y1: y(0), y2: y(0) }), svg('line', { class: 'axis', x1: left, x2: left, y1: top, y2: height - bottom }),
    ...marks, ...ticks, ...names, svg('text', { x: (left + width) / 2, y: height - 6, 'text-anchor': 'middle' }, `${state.y} by ${state.x}`))];
}

function choice(name, values, current) {
  const select = make('select', { 'aria-label': name, onchange: event => { state[name] = event.target.value; draw(); } },
    ...values.map(value => make('option', { value, selected: value === current }, value)));
  return make('label', { class: 'faint' }, `${name} `, select);
}

async function loadMore(event) {
  event.target.disabled = true;
  try {
    const result = await host.callTool('query_dataset', { ...state.args, offset: Number(state.args.offset ?? 0) + state.rows.length });
    const data = result.structuredContent;
    if (result.isError || !Array.isArray(data?.data)) throw new Error();
    state.rows = state.rows.concat(data.data);
    state.more = data.has_more === true;
  } catch { state.more = false; }
  draw();
}

function draw() {
  const mode = name => make('button', { 'aria-pressed': String(state.mode === name), onclick: () => { state.mode = name; draw(); } }, name);
  const focused = document.activeElement?.id === 'filter';
  const filter = make('input', { id: 'filter', type: 'search', placeholder: 'filter', value: state.filter, oninput: event => { state.filter = event.target.value; draw(); } });
  const bar = make('div', { class: 'bar' }, mode('table'), mode('chart'), filter,
    ...(state.mode === 'chart' ? [choice('kind', ['bar', 'line', 'scatter'], state.kind), choice('x', state.columns, state.x), choice('y', state.columns.filter(numeric), state.y)] : []),
    state.more && host.canCallTools() ? make('button', { onclick: loadMore }, 'load more') : null);
  show(bar, state.mode === 'chart' ? chart() : grid());
  if (focused) { filter.focus(); filter.setSelectionRange(state.filter.length, state.filter.length); }
}
host.start();
