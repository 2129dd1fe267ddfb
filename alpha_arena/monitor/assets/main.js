// The dashboard: reads the address, draws the panels, asks for news every few seconds and writes only what changed.
import { CandleChart } from './candles.js';
import { Decisions } from './decisions.js';
import { $, el, group, text } from './dom.js';
import { EquityChart } from './equity.js';
import { digitsOf, setZone, speak, t, time } from './format.js';
import { Refused, forget, get, poll } from './net.js';
import { showPositions } from './position.js';
import { askedView, setting, state, store, visit } from './state.js';
import { Strip, showKpi } from './strip.js';
import { Tables } from './tables.js';

const SCHEMES = { green: ['#15803d', '#c81e1e', '#4ade80', '#f87171'], red: ['#c81e1e', '#15803d', '#f87171', '#4ade80'] };
const TICK_MS = 1000;

class Page {
  constructor(root) {
    this.root = root;
    root.page = this;
    this.symbols = new Map();
    this.failed = new Map();
  }

  panel(name) { return $(`[data-panel=${name}]`, this.root); }

  async start() {
    this.theme(setting('__theme', matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'));
    setZone(setting('tz', 'utc'));
    await speak(setting('lang', 'en'));
    for (const node of this.root.querySelectorAll('[data-t]')) text(node, t(node.dataset.t));
    document.title = t('page.title');
    this.strip = new Strip(this.panel('strip'));
    this.switches();
    await document.fonts.ready;
    this.turn = poll(() => this.read(), () => (this.strip.status?.refresh_s ?? 5) * 1000, error => this.lost(error), () => this.found());
    setInterval(() => this.strip.tick(), TICK_MS);
    addEventListener('popstate', () => this.back());
  }

  /** One round: the aggregated figures first, since everything else hangs on them; each panel fails alone. */
  async read() {
    const body = await get('/api/dashboard', { trader: state.trader, symbol: state.symbol });
    if (body) await this.figures(body);
    else this.strip.update(null);
    this.answered = Date.now();
    if (!this.charts) return;
    await Promise.all([
      this.attempt('equity', () => this.equity.refresh()), this.attempt('candles', () => this.candles.refresh()),
      this.attempt('decisions', () => this.decisions.refresh()), this.attempt('orders', () => this.tables.refresh()),
    ]);
  }

  async attempt(name, job) {
    const note = $('.stale-note', this.panel(name));
    try {
      await job();
      this.failed.delete(name);
      note.hidden = true;
    } catch (error) {
      if (error instanceof TypeError) throw error;
      if (!this.failed.has(name)) this.failed.set(name, Date.now());
      text(note, t('panel.stale', { time: time(this.failed.get(name), Date.now(), true), reason: error.message }));
      note.hidden = false;
    }
  }

  async figures(body) {
    this.strip.update(body.status);
    this.learn(body);
    const now = body.status.clock.now_ms;
    showKpi(this.panel('kpi'), body.kpi, body.quote, this.symbols);
    showPositions(this.panel('position'), body.positions, { symbols: this.symbols, now, last: body.last_decision });
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

  complain() {
    const note = $('[data-role=complaint]', this.root);
    const first = state.complaints[0];
    note.hidden = !first;
    if (first) text(note, t('page.complaint', { name: first[0], value: String(first[1]).slice(0, 60) }));
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
    this.root.dataset.ready = 'yes';
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

  lost(error) {
    this.strip.lost(this.answered ?? Date.now(), error instanceof Refused ? error.message : '');
  }

  found() {
    this.strip.found();
    forget();
    this.turn();
  }

  switches() {
    const zone = setting('tz', 'utc');
    group($('[data-switch=tz]', this.root), [['utc', t('zone.utc')], ['local', t('zone.local')]], zone, value => { store('tz', value); location.reload(); });
    group($('[data-switch=lang]', this.root), [['en', 'EN'], ['zh', '中文']], setting('lang', 'en'), value => { store('lang', value); location.reload(); });
    const toggle = $('[data-switch=theme]', this.root);
    const name = () => text(toggle, t(document.documentElement.dataset.theme === 'dark' ? 'theme.light' : 'theme.dark'));
    toggle.addEventListener('click', () => {
      const next = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
      store('__theme', next);
      this.theme(next);
      name();
      for (const chart of [this.equity, this.candles]) chart?.repaint();
    });
    name();
    for (const pick of ['trader', 'symbol']) $(`[data-pick=${pick}]`, this.root).addEventListener('change', event => this.pick(pick, event.target.value));
  }

  theme(name) {
    document.documentElement.dataset.theme = name;
    document.body.classList.toggle('dark', name === 'dark');
    const scheme = SCHEMES[setting('scheme', 'teal')];
    if (!scheme) return;
    const [up, down] = name === 'dark' ? scheme.slice(2) : scheme;
    document.documentElement.style.setProperty('--up', up);
    document.documentElement.style.setProperty('--down', down);
  }
}

function whenMounted(go) {
  const root = $('#aa');
  if (root) return go(root);
  const watch = new MutationObserver(() => {
    const mounted = $('#aa');
    if (!mounted) return;
    watch.disconnect();
    go(mounted);
  });
  return watch.observe(document.documentElement, { childList: true, subtree: true });
}

whenMounted(root => { new Page(root).start(); });
