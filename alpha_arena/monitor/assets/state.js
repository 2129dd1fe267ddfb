// What the address and the browser remember: the address wins. Unknown values give the default and one sentence.
const asked = new URLSearchParams(location.search);
const CHOICES = { lang: ['en', 'zh'], tz: ['utc', 'local'], __theme: ['light', 'dark'], scheme: ['teal', 'green', 'red'] };

export const state = { trader: asked.get('trader') ?? '', symbol: asked.get('symbol') ?? '', sel: asked.get('sel') ?? '', complaints: [] };

function stored(name) {
  try { return localStorage.getItem(`alpha-arena.${name}`); } catch { return null; }
}

/** A setting kept in the browser; an address that names it wins. */
export function setting(name, fallback) {
  const value = asked.get(name);
  if (value !== null && !CHOICES[name].includes(value)) state.complaints.push([name, value]);
  return [value, stored(name), fallback].find(one => CHOICES[name].includes(one));
}

export function store(name, value) {
  try { localStorage.setItem(`alpha-arena.${name}`, value); } catch { /* private window: the address keeps it */ }
  remember({ [name]: value });
}

function address(values, only = null) {
  const query = new URLSearchParams(location.search);
  for (const name of [...query.keys()]) if (only && !only.includes(name)) query.delete(name);
  for (const [name, value] of Object.entries(values)) value === '' || value === null ? query.delete(name) : query.set(name, value);
  const text = query.toString();
  return text ? `?${text}` : only ? '' : location.pathname;
}

/** Put values in the address without a new entry in the history. */
export function remember(values) { history.replaceState(history.state, '', address(values)); }

/** The same with an entry, so that Back takes it away. */
export function visit(values) { history.pushState({}, '', address(values)); }

/** The address of this page with other values; `only`: the query alone, of the values with these names. */
export const link = (values, only = null) => address(values, only);

/** [from, to] of the address in ms, or null. */
export function askedView() {
  const names = ['from', 'to'].filter(name => asked.get(name) !== null);
  if (!names.length) return null;
  const [from, to] = ['from', 'to'].map(name => Number(asked.get(name) ?? NaN) * 1000);
  if (Number.isFinite(from) && Number.isFinite(to) && from > 0 && to > from && to < 1e14) return [from, to];
  state.complaints.push(['from, to', names.map(name => asked.get(name)).join(', ')]);
  return null;
}
