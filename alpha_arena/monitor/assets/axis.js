// Charts whose axis is one by index over evenly spaced bars, so that a time has a place between bars; labels are never cut.
import { colour } from './dom.js';
import { clockOf, dayOf, monthOf, parts, time } from './format.js';

const MINUTE = 60000;
const DAY = 1440 * MINUTE;
const STEPS = [1, 5, 15, 30, 60, 120, 180, 360, 720].map(n => n * MINUTE).concat([1, 2, 3, 4, 7, 14].map(n => n * DAY));
const LABEL_PX = 72;

/** Evenly spaced time: `origin` is index 0, `step` one index, ms. */
export class Axis {
  constructor(origin = 0, step = DAY) { this.origin = origin; this.step = step; }
  index(ms) { return (ms - this.origin) / this.step; }
  ms(index) { return this.origin + index * this.step; }
  /** Place of a (fractional) index in pixels; the library itself places whole ones only. */
  x(chart, index) {
    const scale = chart.timeScale();
    return scale.logicalToCoordinate(0) + index * scale.options().barSpacing;
  }
}

function shift(ms) {
  const p = parts(ms);
  return Date.UTC(p.y, p.mo, p.d, p.h, p.mi, p.s) - Math.floor(ms / 1000) * 1000;
}

/** Round times of the page's zone between two times, at least LABEL_PX apart. */
export function ticks(from, to, width) {
  const least = (to - from) / Math.max(1, width / LABEL_PX);
  const step = STEPS.find(one => one >= least);
  if (!step) return months(from, to, Math.ceil(least / (28 * DAY)));
  const offset = shift(from);
  const found = [];
  for (let ms = Math.ceil((from + offset) / step) * step - offset; ms <= to; ms += step) found.push(ms);
  return found;
}

function months(from, to, every) {
  const start = parts(from);
  const found = [];
  const stride = [1, 2, 3, 6, 12, 24, 60].find(n => n >= every) ?? 120;
  for (let n = Math.ceil((start.y * 12 + start.mo) / stride) * stride; ; n += stride) {
    const ms = Date.UTC(Math.floor(n / 12), n % 12, 1) - shift(Date.UTC(Math.floor(n / 12), n % 12, 1));
    if (ms > to) return found;
    if (ms >= from) found.push(ms);
  }
}

/** What stands under a tick; a year where one begins is bold. */
function label(ms) {
  const p = parts(ms);
  if (p.h || p.mi) return [clockOf(p), false];
  if (p.d > 1) return [dayOf(p), false];
  return p.mo ? [monthOf(p), false] : [String(p.y), true];
}

/** Draws the vertical lines and the labels of the time axis in place of the library's own. */
export class TimeLabels {
  constructor(axis) { this.axis = axis; }
  attached({ chart, requestUpdate }) { this.chart = chart; this.redraw = requestUpdate; }
  detached() { this.chart = null; }
  updateAllViews() {}
  paneViews() { return [{ zOrder: () => 'bottom', renderer: () => ({ draw: target => this.paint(target, false) }) }]; }
  timeAxisPaneViews() { return [{ zOrder: () => 'top', renderer: () => ({ draw: target => this.paint(target, true) }) }]; }

  places() {
    const scale = this.chart.timeScale();
    const range = scale.getVisibleLogicalRange();
    if (!range) return [];
    return ticks(this.axis.ms(range.from), this.axis.ms(range.to), scale.width())
      .map(ms => [this.axis.x(this.chart, this.axis.index(ms)), ms]);
  }

  paint(target, labels) {
    target.useMediaCoordinateSpace(({ context, mediaSize }) => {
      context.save();
      context.fillStyle = colour(labels ? 'dim' : 'line');
      for (const [x, ms] of this.places()) labels ? this.write(context, x, ms, mediaSize.width) : this.line(context, x, mediaSize.height);
      context.restore();
    });
  }

  line(context, x, height) {
    context.globalAlpha = 0.55;
    context.fillRect(Math.round(x), 0, 1, height);
  }

  write(context, x, ms, width) {
    const [words, bold] = label(ms);
    context.font = `${bold ? '650 ' : ''}11px ${colour('aa-font')}`;
    const half = context.measureText(words).width / 2;
    if (x - half < 2 || x + half > width - 2) return;
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.fillText(words, x, 13);
  }
}

/** Options that follow the theme and the language. */
export function themed(digits) {
  return {
    layout: { background: { color: colour('card') }, textColor: colour('dim'), fontFamily: colour('aa-font'), fontSize: 11, attributionLogo: false },
    grid: { vertLines: { visible: false }, horzLines: { color: colour('line') + '88' } },
    rightPriceScale: { borderVisible: false },
    timeScale: { borderColor: colour('line'), tickMarkFormatter: () => ' ' },
    crosshair: {
      mode: 0,
      vertLine: { color: colour('dim'), labelBackgroundColor: colour('dim') },
      horzLine: { color: colour('dim'), labelBackgroundColor: colour('dim') },
    },
    localization: { timeFormatter: seconds => time(seconds * 1000), priceFormatter: digits },
  };
}

/** A chart that keeps its box's size. */
export function chartIn(box, options) {
  return window.LightweightCharts.createChart(box, { autoSize: true, ...options });
}
