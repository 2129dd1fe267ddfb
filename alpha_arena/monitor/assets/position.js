// What is held: one ladder from stop to take for every open position, to scale.
import { $, el, keep, look, text } from './dom.js';
import { known, number, signed, signedPercent, span, t, time, tone } from './format.js';

const FIELDS = ['stop', 'entry', 'mark', 'take', 'unrealised', 'at_stop', 'open_for', 'protection'];
const SHOWN = 3;

export function showPositions(panel, positions, context) {
  const flat = $('[data-role=flat]', panel);
  flat.hidden = positions.length > 0;
  if (!positions.length) tellFlat(flat, context);
  text($('[data-role=count]', panel), positions.length > SHOWN ? t('position.more', { n: positions.length - SHOWN }) : positions.map(one => context.symbols.get(one.symbol)?.base ?? one.symbol).join(', '));
  keep($('[data-role=list]', panel), positions.slice(0, SHOWN), one => one.symbol, make, (node, one) => fill(node, one, context));
}

function tellFlat(node, { last, now }) {
  text(node, last ? t('position.flat_since', { action: t(`action.${last.action}`), time: time(last.ts, now) }) : t('position.none'));
}

function make() {
  const rail = el('div', 'rail', '', el('div', 'risk'), el('div', 'gain'));
  const ladder = el('div', 'ladder', '', rail, ...['stop', 'entry', 'take', 'mark'].map(name => el('span', `tick ${name}`)));
  const facts = el('dl', 'facts', '', ...FIELDS.map(name => {
    const cell = el('div', '', '', el('dt', '', t(`position.${name}`)), el('dd', '', '', el('b'), el('div', 'dim')));
    cell.dataset.field = name;
    return cell;
  }));
  return el('div', 'holding', '', el('div', 'title'), ladder, facts);
}

function fill(node, one, { symbols, now }) {
  const symbol = symbols.get(one.symbol) ?? { digits: 2, lotDigits: 4, base: one.symbol, quote: '' };
  text($('.title', node), `${one.quantity > 0 ? '▲' : '▼'} ${t(one.quantity > 0 ? 'side.long' : 'side.short')} ${number(Math.abs(one.quantity), symbol.lotDigits)} ${symbol.base}`);
  draw($('.ladder', node), one, symbol);
  const set = (name, value, under = '', shade = '') => {
    const cell = $(`[data-field=${name}]`, node);
    text($('b', cell), value);
    look($('b', cell), shade);
    text($('.dim', cell), under);
  };
  const price = value => number(value, symbol.digits);
  const away = value => known(value) ? signedPercent(value / one.mark - 1) : '';
  set('stop', price(one.stop), away(one.stop));
  set('entry', price(one.entry), known(one.entry) ? away(one.entry) : '');
  set('mark', price(one.mark), symbol.quote);
  set('take', price(one.take), away(one.take));
  set('unrealised', signed(one.unrealised), symbol.quote, tone(one.unrealised));
  set('at_stop', signed(one.at_stop), symbol.quote, tone(one.at_stop));
  set('open_for', known(one.opened_ms) ? span(now - one.opened_ms) : '–', time(one.opened_ms, now));
  const where = { engine: 'by_engine', exchange: 'on_exchange', none: 'unprotected' }[one.protection];
  set('protection', t(`position.${where}`), '', one.protection === 'none' ? 'loss' : '');
}

/** Stop on the left for a long, on the right for a short: profit always points towards the take. */
function draw(ladder, one, symbol) {
  const prices = [one.stop, one.entry, one.mark, one.take].filter(known);
  const pad = (Math.max(...prices) - Math.min(...prices)) * 0.04 || 1;
  const [low, high] = [Math.min(...prices) - pad, Math.max(...prices) + pad];
  const place = value => (value - low) / (high - low) * 100;
  for (const name of ['stop', 'entry', 'take', 'mark']) {
    const tick = $(`.tick.${name}`, ladder);
    tick.hidden = !known(one[name]);
    if (known(one[name])) tick.style.left = `${place(one[name])}%`;
    tick.title = `${t(`position.${name}`)} ${number(one[name], symbol.digits)}`;
  }
  stretch($('.risk', ladder), one.stop, one.entry, place);
  stretch($('.gain', ladder), one.entry, one.take, place);
  ladder.setAttribute('role', 'img');
  ladder.setAttribute('aria-label', ['stop', 'entry', 'mark', 'take'].map(name => `${t(`position.${name}`)} ${number(one[name], symbol.digits)}`).join(', '));
}

function stretch(node, from, to, place) {
  node.hidden = !known(from) || !known(to);
  if (node.hidden) return;
  node.style.left = `${Math.min(place(from), place(to))}%`;
  node.style.width = `${Math.abs(place(to) - place(from))}%`;
}
