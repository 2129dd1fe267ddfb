// The dashboard: draws the panels of one trader, asks for news every few seconds and writes only what changed.
import { CandleChart } from './candles.js';
import { Decisions } from './decisions.js';
import { $, el, text } from './dom.js';
import { EquityChart } from './equity.js';
import { showFeedback } from './feedback.js';
import { digitsOf } from './format.js';
import { forget, get } from './net.js';
import { showPositions } from './position.js';
import { Shell } from './shell.js';
import { askedView, state, visit } from './state.js';
import { showKpi } from './strip.js';
import { Tables } from './tables.js';

export class Dashboard extends Shell {
  constructor(root) {
    super(root, 'dashboard');
    this.symbols = new Map();
    for (const pick of ['trader', 'symbol']) $(`[data-pick=${pick}]`, root).addEventListener('change', event => this.pick(pick, event.target.value));
  }

  repaint() {
    for (const chart of [this.equity, this.candles]) chart?.repaint();
  }

  /** One round: the aggregated figures first, since everything else hangs on them; each panel fails alone. */
  async read() {
    const { trader, symbol } = state;
    const body = await get('/api/dashboard', { trader, symbol });
    if (trader !== state.trader || symbol !== state.symbol) return this.read(); // another was picked meanwhile
    if (body) await this.figures(body);
    else this.strip.update(null);
    this.answered = Date.now();
    if (!this.charts) return;
    await Promise.all([
      this.attempt('equity', () => this.equity.refresh()), this.attempt('candles', () => this.candles.refresh()),
      this.attempt('decisions', () => this.decisions.refresh()), this.attempt('orders', () => this.tables.refresh()),
    ]);
    await this.ready();
  }

  async figures(body) {
    this.strip.update(body.status);
    this.learn(body);
    const now = body.status.clock.now_ms;
    showKpi(this.panel('kpi'), body.kpi, body.quote, this.symbols);
    showPositions(this.panel('position'), body.positions, { symbols: this.symbols, now, last: body.last_decision });
    showFeedback(this.panel('feedback'), body.feedback, now);
    this.root.classList.toggle('live', body.status.mode === 'live');
    if (!this.charts) await this.draw(body);
    for (const part of [this.equity, this.candles, this.decisions, this.tables]) part.now = now;
    this.candles.hold(body.positions.find(one => one.symbol === state.symbol) ?? null);
  }

  learn(body) {
    for (const one of body.symbols) this.symbols.set(one.symbol, { ...one, digits: digitsOf(one.tick), lotDigits: digitsOf(one.lot) });
    if (body.unknown) state.complaints.push(...body.unknown);
    state.trader = body.trader ?? '';
    state.symbol = body.symbol ?? '';
    this.fillPick('trader', body.traders.map(one => [one.id, one.id]), state.trader);
    this.fillPick('symbol', body.symbols.map(one => [one.symbol, one.symbol]), state.symbol);
    this.complain();
  }

  fillPick(name, choices, chosen) {
    const select = $(`[data-pick=${name}]`, this.root);
    const known = [...select.options].map(option => option.value).join('\n');
    if (known !== choices.map(([value]) => value).join('\n')) {
      select.replaceChildren(...choices.map(([value, label]) => { const option = el('option', '', label); option.value = value; return option; }));
    }
    select.value = chosen;
    select.closest('label').hidden = choices.length < 2;
  }

  async draw(body) {
    this.charts = true;
    const select = key => this.select(key);
    this.equity = new EquityChart(this.panel('equity'), name => this.pick('trader', name), ms => this.candles.centre(ms));
    this.candles = new CandleChart(this.panel('candles'), select);
    this.decisions = new Decisions(this.panel('decisions'), select);
    this.tables = new Tables(this.panel('orders'), select);
    this.equity.selected = state.trader;
    for (const part of [this.equity, this.candles, this.decisions, this.tables]) part.now = body.status.clock.now_ms;
    this.point();
    for (const kind of ['pointerdown', 'wheel']) this.candles.box.addEventListener(kind, () => { this.candles.touched = true; }, { passive: true });
    const symbol = this.symbols.get(state.symbol);
    if (symbol) await this.attempt('candles', () => this.candles.open(symbol, askedView()));
    await Promise.all([this.decisions.refresh(), this.tables.refresh()].map(one => one.catch(() => {})));
    if (state.sel) await this.reveal(state.sel);
  }

  /** What the panels must know of the chosen symbol. */
  point() {
    const symbol = this.symbols.get(state.symbol);
    text($('[data-role=symbol]', this.panel('candles')), state.symbol);
    Object.assign(this.tables, { symbols: this.symbols, symbol });
    this.decisions.digits = symbol?.digits ?? 2;
  }

  async pick(name, value) {
    state[name] = value;
    state.complaints = [];
    visit({ [name]: value });
    this.equity.selected = state.trader;
    this.equity.repaint();
    forget();
    const symbol = this.symbols.get(state.symbol);
    this.point();
    if (name === 'symbol' && symbol) await this.candles.open(symbol, null);
    $('tbody', this.panel('orders')).replaceChildren();
    await this.turn();
  }

  async select(key) {
    const same = state.sel === key;
    state.sel = same ? '' : key;
    visit({ sel: state.sel });
    await this.reveal(state.sel, false);
  }

  /** Open what is selected; from an address also bring it into view. */
  async reveal(key, scroll = true) {
    const [kind, id] = [key.slice(0, key.indexOf(':')), key.slice(key.indexOf(':') + 1)];
    this.candles.select(kind === 'trade' ? id : null);
    const trade = kind === 'trade' && this.candles.marks.trades.find(one => one.id === id);
    if (trade && scroll) await this.candles.centre((trade.entry_ms + (trade.exit_ms ?? trade.entry_ms)) / 2);
    if (kind === 'decision' && !(await this.decisions.reveal(id))) { state.complaints.push(['sel', key]); this.complain(); }
    if (kind !== 'decision') this.decisions.show();
    await this.tables.refresh(true);
  }

  async back() {
    const asked = new URLSearchParams(location.search);
    state.sel = asked.get('sel') ?? '';
    for (const name of ['trader', 'symbol']) state[name] = asked.get(name) ?? '';
    await this.reveal(state.sel);
    forget();
    await this.turn();
  }
}
