// Equity of all traders against their benchmarks, in per cent of their own start, in quote currency, or that on a log scale.
import { Axis, TimeLabels, chartIn, themed } from './axis.js';
import { $, colour, el, group, keep, look, text } from './dom.js';
import { known, number, signedPercent, t, time } from './format.js';
import { get } from './net.js';

const DAY = 86400000;
const RANGES = { '7d': 7, '30d': 30, '90d': 90, '1y': 365, all: null };
const DASHES = [0, 2, 1, 4];
// dotted, dashed, wide dashes, sparse dots; the page's own names for them are dash-1 to dash-4
const BENCHMARK_DASHES = [1, 2, 3, 4];
const BENCHMARK = 'benchmark:';
// of the benchmarks only this one has a label at its end: the others would cover each other's
const HOLD = `${BENCHMARK}buy_and_hold`;
// past so many traders only the selected one, the best and the worst have colours
const COLOURED = 8;

export const isBenchmark = name => name.startsWith(BENCHMARK);
/** What a curve is called: a trader by its id, a benchmark in words. */
export const called = name => isBenchmark(name) ? t(`benchmark.${name.slice(BENCHMARK.length)}`) : name;

export class EquityChart {
  constructor(panel, onTrader, onTime, path = '/api/equity') {
    Object.assign(this, { panel, onTrader, onTime, path, box: $('.chart', panel), axis: new Axis(), scale: 'percent', range: 'all', series: new Map(), plain: new Set() });
    this.chart = chartIn(this.box, this.options());
    this.chart.subscribeCrosshairMove(event => this.legend(event));
    this.chart.subscribeClick(event => event.time && this.onTime?.(event.time * 1000));
    group($('[data-role=scale]', panel), ['percent', 'quote', 'log'].map(key => [key, t(`scale.${key}`)]), this.scale, key => this.change({ scale: key }));
    const ranges = $('[data-role=range]', panel);
    if (ranges) group(ranges, Object.keys(RANGES).map(key => [key, t(`range.${key}`)]), this.range, key => this.change({ range: key }));
  }

  options() {
    const options = themed(value => this.written(value));
    options.rightPriceScale.mode = this.scale === 'log' ? 1 : 0;
    options.rightPriceScale.scaleMargins = { top: 0.12, bottom: 0.12 };
    options.timeScale.rightOffset = 1;
    options.timeScale.minBarSpacing = 0.01;
    return { ...options, handleScroll: false, handleScale: false };
  }

  /** Two decimals where a value is told, one (or none) on the axis. */
  written(value, told = false) {
    if (this.scale === 'percent') return signedPercent(value, told ? 2 : 1);
    return number(value, told ? 2 : 0);
  }

  change(values) {
    Object.assign(this, values);
    this.chart.applyOptions(this.options());
    return this.refresh(true);
  }

  /** `now` is the data's time; a range counts back from it. */
  async refresh(fresh = false) {
    const { range, scale } = this;
    const days = RANGES[range];
    const start = days && this.now ? Math.floor((this.now - days * DAY) / 3600000) * 3600000 : null;
    const body = await get(this.path, {
      start_ms: start, columns: Math.max(100, this.box.clientWidth - 60), unit: scale === 'percent' ? 'fraction' : 'quote',
    }, fresh);
    if (body && range === this.range && scale === this.scale) this.draw(body);
  }

  draw(body) {
    this.body = body;
    this.empty(body);
    if (!body.ts.length) return;
    const step = body.ts.length > 1 ? body.ts[1] - body.ts[0] : DAY;
    Object.assign(this.axis, { origin: body.ts[0], step });
    const names = Object.keys(body.series);
    this.plain = this.uncoloured(body);
    for (const [name, series] of this.series) if (!names.includes(name)) { this.chart.removeSeries(series); this.series.delete(name); }
    names.forEach((name, place) => this.line(name, place, body));
    this.chart.timeScale().fitContent();
    this.legend(null);
  }

  /** Traders in grey. */
  uncoloured(body) {
    const last = name => body.series[name].at(-1) ?? -Infinity;
    const traders = Object.keys(body.series).filter(name => !isBenchmark(name)).sort((a, b) => last(b) - last(a));
    return new Set(traders.length > COLOURED ? traders.slice(1, -1).filter(name => name !== this.selected) : []);
  }

  empty(body) {
    const node = $('.empty', this.panel);
    node.hidden = body.ts.length > 1;
    text(node, body.ts.length > 1 ? '' : t(body.computing ? 'board.computing' : 'equity.none'));
  }

  line(name, place, body) {
    if (!this.series.has(name)) {
      const series = this.chart.addSeries(window.LightweightCharts.LineSeries, { lastPriceAnimation: 0, priceLineVisible: false });
      if (!this.series.size) {
        series.attachPrimitive(new TimeLabels(this.axis));
        this.zero = series.createPriceLine({ price: 0, color: colour('dim'), lineWidth: 1, lineStyle: 1, axisLabelVisible: false });
      }
      this.series.set(name, series);
    }
    const series = this.series.get(name);
    series.applyOptions(this.style(name, place));
    if (place === 0) this.zero.applyOptions({ price: this.scale === 'percent' ? 0 : body.initial[name], color: colour('dim') });
    series.setData(body.ts.map((ts, i) => {
      const value = body.series[name][i];
      return known(value) ? { time: Math.round(ts / 1000), value } : { time: Math.round(ts / 1000) };
    }));
  }

  style(name, place) {
    const ends = { lastValueVisible: !isBenchmark(name) || name === HOLD };
    return { ...ends, ...this.stroke(name, place) };
  }

  stroke(name, place) {
    if (isBenchmark(name)) return { color: colour('hold'), lineWidth: 1, lineStyle: this.dash(name), crosshairMarkerVisible: false };
    if (this.plain.has(name)) return { color: colour('hold'), lineWidth: 1, lineStyle: 0, crosshairMarkerVisible: false };
    return { color: this.shade(place), lineWidth: name === this.selected ? 3 : 2, lineStyle: DASHES[Math.floor(place / 4) % 4], crosshairMarkerRadius: 3 };
  }

  dash(name) { return BENCHMARK_DASHES[Object.keys(this.body.series).filter(isBenchmark).indexOf(name) % BENCHMARK_DASHES.length]; }

  shade(place) { return colour(`series-${place % 4 + 1}`); }

  /** Names with their values at the crosshair (or the last ones), highest first. */
  legend(event) {
    if (!this.body) return;
    const at = event?.time !== undefined ? this.body.ts.findIndex(ts => Math.round(ts / 1000) === event.time) : -1;
    const row = at < 0 ? this.body.ts.length - 1 : at;
    const items = Object.keys(this.body.series).map((name, place) => ({ name, place, value: this.body.series[name][row] }));
    items.sort((a, b) => (b.value ?? -Infinity) - (a.value ?? -Infinity));
    keep($('.legend', this.panel), items, item => item.name, item => this.entry(item), (node, item) => this.tell(node, item));
    text($('[data-role=at]', this.panel), at < 0 ? '' : time(this.body.ts[row], this.now));
  }

  entry({ name }) {
    const node = el(isBenchmark(name) ? 'span' : 'button', 'name', '', el('span', 'swatch'), el('span', '', called(name)), el('b'));
    if (!isBenchmark(name)) {
      node.type = 'button';
      node.addEventListener('click', () => this.onTrader(name));
    }
    return node;
  }

  tell(node, { name, place, value }) {
    const [swatch, label, amount] = node.children;
    const grey = isBenchmark(name) || this.plain.has(name);
    look(swatch, isBenchmark(name) ? `swatch dash-${this.dash(name)}` : 'swatch');
    swatch.style.color = grey ? 'var(--hold)' : `var(--series-${place % 4 + 1})`;
    label.style.fontWeight = name === this.selected ? '650' : '';
    text(amount, this.written(value, true));
    amount.className = this.scale !== 'percent' || !known(value) ? '' : value < 0 ? 'loss' : 'up';
  }

  repaint() {
    this.chart.applyOptions(this.options());
    if (this.body) this.draw(this.body);
  }
}
