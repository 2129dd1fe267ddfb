// The candle chart: asks for as many bars as fit, finer or coarser as one zooms, and keeps the view while the newest bar moves.
import { Axis, TimeLabels, chartIn, themed } from './axis.js';
import { $, colour, el, group, look, text } from './dom.js';
import { MINUS, barName, known, number, signed, signedPercent, t, time, tone } from './format.js';
import { Marks } from './marks.js';
import { get } from './net.js';
import { remember, state } from './state.js';

const DAY = 86400000;
const MARGIN = 0.75;
const SETTLE_MS = 160;
const RIGHT_BARS = 8;
const FREE = 0.06;
const RANGES = { '7d': 7, '30d': 30, '90d': 90, all: null };

export class CandleChart {
  constructor(panel, onSelect) {
    this.panel = panel;
    this.box = $('.chart', panel);
    this.onSelect = onSelect;
    this.axis = new Axis();
    this.marks = new Marks(this.axis);
    this.labels = new TimeLabels(this.axis);
    this.lines = [];
    this.view = null;
    this.loaded = null;
    this.rows = new Map();
    this.build();
  }

  build() {
    this.chart = chartIn(this.box, this.options());
    this.series = this.chart.addSeries(window.LightweightCharts.CandlestickSeries, this.colours());
    this.series.attachPrimitive(this.labels);
    this.series.attachPrimitive(this.marks);
    this.chart.timeScale().subscribeVisibleLogicalRangeChange(range => this.moved(range));
    this.chart.subscribeCrosshairMove(event => this.hovered(event));
    this.chart.subscribeClick(event => this.clicked(event));
    this.box.addEventListener('keydown', event => this.key(event));
    this.pressRange = group($('[data-role=range]', this.panel), Object.keys(RANGES).map(key => [key, t(`range.${key}`)]), '', key => this.setRange(key));
  }

  options() {
    const options = themed(price => number(price, this.digits ?? 1));
    options.rightPriceScale.scaleMargins = { top: 0.08, bottom: 0.08 };
    options.timeScale.rightOffset = RIGHT_BARS;
    options.timeScale.minBarSpacing = 0.5;
    return { ...options, handleScroll: { vertTouchDrag: false } };
  }

  colours() {
    const up = colour('up');
    const down = colour('down');
    return {
      upColor: colour('card'), borderUpColor: up, wickUpColor: up, downColor: down, borderDownColor: down, wickDownColor: down,
      priceLineColor: colour('dim'), priceLineStyle: 1,
    };
  }

  repaint() {
    this.chart.applyOptions(this.options());
    this.series.applyOptions(this.colours());
    this.hold(this.position);
  }

  /** Show a symbol; `view` is [from, to] in ms or null for the last 30 days. */
  async open(symbol, view) {
    this.symbol = symbol;
    this.digits = symbol.digits;
    this.series.applyOptions({ priceFormat: { type: 'price', precision: symbol.digits, minMove: symbol.tick } });
    this.view = view;
    if (view) await this.load();
    else await this.setRange('30d');
  }

  async setRange(key) {
    const days = RANGES[key];
    const ends = await this.ends();
    const length = Math.max(days ? Math.min(days * DAY, ends[1] - ends[0]) : ends[1] - ends[0], 3600000);
    this.view = [ends[1] - length * (1 - FREE), ends[1] + length * FREE];
    this.pressRange(key);
    await this.load();
  }

  async ends() {
    const body = await get('/api/market/candles', { symbol: this.symbol.symbol, bars: 1 }, true).catch(() => null);
    return body && known(body.last_ms) ? [body.first_ms, body.last_ms] : [Date.now() - 30 * DAY, Date.now()];
  }

  /** Ask for the view and a margin on both sides, then show the same view by time. */
  async load() {
    const [from, to] = this.view;
    const length = to - from;
    const width = Math.max(200, this.box.clientWidth - 70);
    const body = await get('/api/market/candles', {
      symbol: this.symbol.symbol, start_ms: Math.round(from - MARGIN * length), end_ms: Math.round(to + MARGIN * length),
      bars: Math.min(2000, Math.floor(width / 4 * (1 + 2 * MARGIN))),
    }, true);
    this.loaded = { from: from - MARGIN * length, to: to + MARGIN * length, bar: body.bar_ms, finest: body.finest_ms, first: body.first_ms, last: body.last_ms };
    this.fill(body);
    this.show();
    await this.overlay();
  }

  fill(body) {
    this.rows.clear();
    Object.assign(this.axis, { origin: body.ts[0] ?? 0, step: body.bar_ms });
    const bars = [];
    let next = this.axis.origin;
    body.ts.forEach((ts, i) => {
      for (; next < ts; next += body.bar_ms) bars.push({ time: next / 1000 });
      bars.push(this.bar(body, i));
      next = ts + body.bar_ms;
    });
    this.marks.gaps = body.gaps;
    this.quiet = true;
    this.series.setData(bars);
    this.quiet = false;
    const chip = $('[data-role=bar]', this.panel);
    text(chip, t('candles.bar', { bar: barName(body.bar_ms) }));
    this.empty(body.ts.length ? '' : t('candles.none', { symbol: this.symbol.symbol, bar: barName(body.bar_ms) }));
    this.said(null);
  }

  bar(body, i) {
    const bar = { time: body.ts[i] / 1000, open: body.open[i], high: body.high[i], low: body.low[i], close: body.close[i] };
    this.rows.set(bar.time, { ...bar, volume: body.volume[i] });
    this.newest = this.rows.get(bar.time);
    return bar;
  }

  empty(sentence) {
    const node = $('.empty', this.panel);
    text(node, sentence);
    node.hidden = !sentence;
  }

  show() {
    this.quiet = true;
    this.chart.timeScale().setVisibleLogicalRange({ from: this.axis.index(this.view[0]), to: this.axis.index(this.view[1]) });
    this.quiet = false;
  }

  /** Trades and regimes of what is loaded. */
  async overlay() {
    const span = { symbol: this.symbol.symbol, trader: state.trader, start_ms: Math.round(this.loaded.from), end_ms: Math.round(this.loaded.to) };
    const [trades, regimes] = await Promise.all([get('/api/trades', span), get('/api/market/regimes', span)]);
    if (trades) Object.assign(this.marks, { trades: trades.trades, tradeBar: trades.bar_ms });
    if (regimes) this.marks.regimes = regimes.regimes;
    if (trades || regimes) this.redraw();
  }

  redraw() { this.chart.applyOptions({}); this.marks.redraw?.(); }

  /** Bars since the newest one that is shown; the view stays, or follows where the newest bar was in it. */
  async refresh() {
    if (!this.loaded || !this.newest || this.loaded.to < this.loaded.last) return;
    const body = await get('/api/market/candles', {
      symbol: this.symbol.symbol, start_ms: this.newest.time * 1000, end_ms: this.newest.time * 1000 + 2000 * this.loaded.bar, bar_ms: this.loaded.bar,
    });
    if (body) {
      let next = this.newest.time * 1000;
      body.ts.forEach((ts, i) => {
        for (next += this.loaded.bar; next < ts; next += this.loaded.bar) this.series.update({ time: next / 1000 });
        this.series.update(this.bar(body, i));
        next = ts;
      });
      Object.assign(this.loaded, { last: body.last_ms, to: Math.max(this.loaded.to, body.last_ms) });
      if (!this.hovering) this.said(null);
    }
    await this.overlay();
  }

  moved(range) {
    if (this.quiet || !range || !this.loaded) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.settled(), SETTLE_MS);
  }

  settled() {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    if (!range) return;
    const [from, to] = [this.axis.ms(range.from), this.axis.ms(range.to)];
    const moved = !this.view || Math.abs(from - this.view[0]) > this.axis.step || Math.abs(to - this.view[1]) > this.axis.step;
    this.view = [from, to];
    if (moved && this.touched) remember({ from: Math.round(from / 1000), to: Math.round(to / 1000) });
    if (this.wants(range, from, to)) this.load().catch(() => {});
  }

  wants(range, from, to) {
    const width = this.box.clientWidth - 70;
    const bars = range.to - range.from;
    const edge = (to - from) * 0.1;
    const { bar, finest, first, last } = this.loaded;
    return (bars < width / 12 && bar > finest) || bars > width / 2.5
      || (from < this.loaded.from + edge && this.loaded.from > first) || (to > this.loaded.to - edge && this.loaded.to < last);
  }

  hovered(event) {
    this.hovering = Boolean(event.point && event.time !== undefined);
    this.said(this.hovering ? this.rows.get(event.time) : null);
    const trade = event.point ? this.marks.near(event.point.x, event.point.y) : null;
    this.card(trade, event.point);
    this.box.style.cursor = trade ? 'pointer' : '';
  }

  /** The OHLC line under the title: of the bar under the crosshair, else of the newest. */
  said(row) {
    const bar = row ?? this.newest;
    const line = $('[data-role=ohlc]', this.panel);
    if (!bar) return text(line, '');
    const change = bar.close / bar.open - 1;
    const digits = this.digits;
    text(line, t('candles.ohlc', {
      time: time(bar.time * 1000, this.now), open: number(bar.open, digits), high: number(bar.high, digits), low: number(bar.low, digits), close: number(bar.close, digits),
      change: signedPercent(change), volume: number(bar.volume, 1),
    }));
    return look(line, `dim ${tone(change * 100)}`);
  }

  card(trade, point) {
    const card = $('.hover', this.panel);
    card.hidden = !trade;
    if (!trade) return;
    const money = trade.exit_ms === null ? t('trade.open') : `${signed(trade.pnl)} ${this.symbol.quote}`;
    card.replaceChildren(
      el('b', '', `${trade.side === 'long' ? '▲' : '▼'} ${t(`side.${trade.side}`)} ${number(trade.quantity, this.symbol.lotDigits)} ${this.symbol.base}`),
      el('div', 'dim', `${trade.trader} · ${trade.id}`),
      el('div', '', `${t('trade.in')} ${number(trade.entry_price, this.digits)} · ${time(trade.entry_ms, this.now)}`),
      el('div', '', trade.exit_ms === null ? '' : `${t('trade.out')} ${number(trade.exit_price, this.digits)} · ${time(trade.exit_ms, this.now)}`),
      el('div', tone(trade.pnl), `${money}${trade.exit_ms === null ? '' : ` · ${t(`exit.${trade.exit_reason}`)}`}`),
    );
    const right = point.x > this.box.clientWidth / 2;
    card.style.left = right ? '' : `${point.x + 16}px`;
    card.style.right = right ? `${this.box.clientWidth - point.x + 16}px` : '';
    card.style.top = `${Math.max(4, Math.min(point.y - 40, this.box.clientHeight - 120))}px`;
  }

  clicked(event) {
    const trade = event.point ? this.marks.near(event.point.x, event.point.y) : null;
    if (trade) this.onSelect(`trade:${trade.id}`);
  }

  select(id) { this.marks.selected = id; this.redraw(); }

  /** Centre the view on a time without changing its width. */
  async centre(ms) {
    const half = this.view ? (this.view[1] - this.view[0]) / 2 : 7 * DAY;
    this.view = [ms - half, ms + half];
    this.touched = true;
    await this.load();
  }

  /** Stop, entry and take of the open position. */
  hold(position) {
    this.position = position;
    for (const line of this.lines) this.series.removePriceLine(line);
    this.lines = !position ? [] : [['stop', 'down', 2], ['entry', 'accent', 0], ['take', 'up', 2]]
      .filter(([name]) => known(position[name]))
      .map(([name, shade, lineStyle]) => this.series.createPriceLine({
        price: position[name], color: colour(shade), lineWidth: 1, lineStyle, title: t(`position.${name}`), axisLabelVisible: true,
        axisLabelColor: colour(shade), axisLabelTextColor: colour('card'),
      }));
  }

  key(event) {
    const scale = this.chart.timeScale();
    const range = scale.getVisibleLogicalRange();
    if (!range) return;
    const length = range.to - range.from;
    const moves = {
      ArrowLeft: [-0.1, -0.1], ArrowRight: [0.1, 0.1], '+': [0.1, -0.1], '=': [0.1, -0.1], '-': [-0.12, 0.12], [MINUS]: [-0.12, 0.12],
    };
    this.touched = true;
    if (event.key === 'End') scale.scrollToRealTime();
    else if (event.key === 'Home') this.setRange('all');
    else if (event.key === 'Enter') this.nearest(range);
    else if (moves[event.key]) scale.setVisibleLogicalRange({ from: range.from + moves[event.key][0] * length, to: range.to + moves[event.key][1] * length });
    else return;
    event.preventDefault();
  }

  nearest(range) {
    const middle = this.axis.ms((range.from + range.to) / 2);
    const by = [...this.marks.trades].sort((a, b) => Math.abs(a.entry_ms - middle) - Math.abs(b.entry_ms - middle));
    if (by.length) this.onSelect(`trade:${by[0].id}`);
  }
}
