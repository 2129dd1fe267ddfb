// Orders with their life cycles, and round trips: pages of 50 from the server, rows updated in place.
import { $, el, group, keep, look, text } from './dom.js';
import { iso, number, percent, signed, span, t, time, tone } from './format.js';
import { get } from './net.js';
import { link, state } from './state.js';

const STATES = { FILLED: 'good', WORKING: '', INTENT: '', PARTIAL: 'warn', REJECTED: 'bad', CANCELLED: '', LAPSED: '', UNKNOWN: 'warn' };
const PAGE = 50;
const VIEWS = ['all', 'open', 'filled', 'rejected', 'trades'];
const ORDER_COLUMNS = [['time'], ['trader', 'wide'], ['side'], ['type', 'wide'], ['quantity', 'number'], ['price', 'number'], ['filled', 'number wide'],
  ['average', 'number wide'], ['fee', 'number wide'], ['state'], ['cause', 'wide']];
const TRADE_COLUMNS = [['exit'], ['trader', 'wide'], ['side'], ['quantity', 'number'], ['entry_price', 'number wide'], ['exit_price', 'number wide'],
  ['costs', 'number wide'], ['pnl', 'number'], ['held', 'number wide'], ['reason']];

export class Tables {
  constructor(panel, onSelect) {
    Object.assign(this, { panel, onSelect, view: 'all', limit: PAGE, lives: new Map() });
    group($('[data-role=view]', panel), VIEWS.map(key => [key, t(`orders.${key}`)]), this.view, key => this.turn(key));
    $('.more', panel).addEventListener('click', () => { this.limit += PAGE; this.refresh(true); });
  }

  turn(key) {
    Object.assign(this, { view: key, limit: PAGE });
    $('tbody', this.panel).replaceChildren();
    return this.refresh(true);
  }

  async refresh(fresh = false) {
    const { view, limit } = this;
    const trades = view === 'trades';
    const query = { trader: state.trader, symbol: state.symbol, limit };
    const body = await get(trades ? '/api/trades' : '/api/orders', trades ? query : { ...query, filter: view }, fresh);
    if (body && view === this.view && limit === this.limit) this.show(trades ? TRADE_COLUMNS : ORDER_COLUMNS, trades ? 'trades' : 'orders', trades ? body.trades.filter(one => one.exit_ms !== null).reverse().slice(0, this.limit) : body.orders, body);
  }

  show(columns, kind, rows, body) {
    this.kind = kind;
    this.head(columns);
    text($('caption', this.panel), t(kind === 'trades' ? 'orders.trades' : 'orders.title'));
    for (const button of $('[data-role=view]', this.panel).children) this.counted(button, body);
    const none = $('[data-role=none]', this.panel);
    none.hidden = rows.length > 0;
    text(none, t(kind === 'trades' ? 'trades.none' : 'orders.none'));
    $('.more', this.panel).hidden = rows.length < this.limit;
    const lives = kind === 'orders' && state.sel.startsWith('order:') ? state.sel.slice(6) : null;
    const items = rows.flatMap(row => (row.id === lives ? [row, { id: `${row.id}·life`, life: row.id }] : [row]));
    keep($('tbody', this.panel), items, row => `${kind}${row.id}`, row => this.make(row, columns), (node, row) => (row.life ? this.life(node, row.life) : this.fill(node, row, columns)));
  }

  counted(button, body) {
    const count = body.counts?.[button.dataset.value];
    if (count !== undefined) text(button, count ? `${t(`orders.${button.dataset.value}`)} ${number(count, 0)}` : t(`orders.${button.dataset.value}`));
  }

  head(columns) {
    const units = { quantity: this.symbol?.base, price: this.symbol?.quote, average: this.symbol?.quote, fee: this.symbol?.quote, entry_price: this.symbol?.quote,
      exit_price: this.symbol?.quote, costs: this.symbol?.quote, pnl: this.symbol?.quote };
    keep($('thead tr', this.panel), columns, ([name]) => name, ([name, cls = '']) => {
      const cell = el('th', cls);
      cell.scope = 'col';
      return cell;
    }, (node, [name]) => text(node, `${t(`column.${name}`)}${units[name] ? `, ${units[name]}` : ''}`));
  }

  make(row, columns) {
    if (row.life) {
      const cell = el('td', '', '', el('ol', 'steps'));
      cell.colSpan = columns.length;
      return el('tr', 'life', '', cell);
    }
    const node = el('tr', 'pick', '', ...columns.map(([name, cls = '']) => el('td', name === 'cause' ? `${cls} text` : cls)));
    const time_ = node.firstElementChild;
    const anchor = el('a');
    anchor.href = link({ sel: `${row.kind_}:${row.id}` });
    time_.append(anchor);
    node.addEventListener('click', event => { event.preventDefault(); this.onSelect(`${this.kind === 'orders' ? 'order' : 'trade'}:${row.id}`); });
    return node;
  }

  fill(node, row, columns) {
    const key = `${this.kind === 'orders' ? 'order' : 'trade'}:${row.id}`;
    node.classList.toggle('selected', state.sel === key);
    const cells = this.kind === 'orders' ? this.order(row) : this.trade(row);
    columns.forEach(([name], i) => this.cell(node.children[i], name, cells[name]));
    const anchor = $('a', node);
    anchor.href = link({ sel: key });
    anchor.title = `${row.id} · ${iso(row.created_ms ?? row.exit_ms)}`;
  }

  cell(node, name, [value, shade = '']) {
    if (name === 'state') {
      if (!node.firstElementChild) node.append(el('span'));
      text(node.firstElementChild, value);
      look(node.firstElementChild, `chip ${shade}`);
    } else if (node.firstElementChild) text(node.firstElementChild, value);
    else text(node, value);
    if (name === 'pnl') look(node, `number ${shade}`);
  }

  order(row) {
    const { digits = 2, lotDigits = 4 } = this.symbols?.get(row.symbol) ?? {};
    return {
      time: [time(row.created_ms, this.now)], trader: [row.trader], side: [t(row.quantity > 0 ? 'side.buy' : 'side.sell')], type: [t(`kind.${row.kind}`)],
      quantity: [number(Math.abs(row.quantity), lotDigits)], price: [number(row.price, digits)],
      filled: [percent(row.filled_fraction, 0)], average: [number(row.average, digits)], fee: [number(row.fee, 2)],
      state: [t(`state.${row.state}`), STATES[row.state] ?? 'warn'], cause: [row.cause],
    };
  }

  trade(row) {
    const { digits = 2, lotDigits = 4 } = this.symbols?.get(row.symbol) ?? {};
    return {
      exit: [time(row.exit_ms, this.now)], trader: [row.trader], side: [`${row.side === 'long' ? '▲' : '▼'} ${t(`side.${row.side}`)}`], quantity: [number(row.quantity, lotDigits)],
      entry_price: [number(row.entry_price, digits)], exit_price: [number(row.exit_price, digits)], costs: [number(row.fees + row.funding, 2)],
      pnl: [signed(row.pnl), tone(row.pnl)], held: [span(row.exit_ms - row.entry_ms)], reason: [t(`exit.${row.exit_reason}`)],
    };
  }

  async life(node, id) {
    const body = await get(`/api/orders/${encodeURIComponent(id)}`, {}, true).catch(() => null);
    if (!body) return;
    keep($('.steps', node), body.events, event => event.id, event => el('li', '', '', el('span', `chip ${STATES[event.state] ?? 'warn'}`, t(`state.${event.state}`)),
      el('span', 'dim', time(event.ts, this.now, true)), el('span', '', event.cause)), () => {});
  }
}
