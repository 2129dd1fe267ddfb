// What lies over the candles: regime bands, gaps, and every trade at its exact price, culled to what is in view.
import { colour } from './dom.js';

const MANY = 120;
const NEAR_PX = 14;
const BANDS = { range: 'regime-range', up: 'regime-up', down: 'regime-down', volatile: 'regime-volatile' };

export class Marks {
  constructor(axis) {
    this.axis = axis;
    this.trades = [];
    this.regimes = [];
    this.gaps = [];
    this.tradeBar = 0;
    this.selected = null;
  }

  attached({ chart, series, requestUpdate }) { Object.assign(this, { chart, series, redraw: requestUpdate }); }
  detached() { this.chart = null; }
  updateAllViews() {}
  paneViews() {
    return [
      { zOrder: () => 'bottom', renderer: () => ({ draw: target => this.draw(target, this.bands) }) },
      { zOrder: () => 'top', renderer: () => ({ draw: target => this.draw(target, this.paths) }) },
    ];
  }

  draw(target, painter) {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    if (!range) return;
    target.useMediaCoordinateSpace(({ context, mediaSize }) => {
      context.save();
      painter.call(this, context, mediaSize, this.axis.ms(range.from - 1), this.axis.ms(range.to + 1));
      context.restore();
    });
  }

  /** Place of a time: the middle of the bar of the traded timeframe in which it lies. */
  x(ms) { return this.axis.x(this.chart, this.axis.index(ms + this.tradeBar / 2) - 0.5); }
  edge(ms) { return this.axis.x(this.chart, this.axis.index(ms) - 0.5); }
  y(price) { return this.series.priceToCoordinate(price); }

  bands(context, size, from, to) {
    for (const band of this.regimes) {
      if (band.end_ms < from || band.start_ms > to || !BANDS[band.tone]) continue;
      context.fillStyle = colour(BANDS[band.tone]);
      context.fillRect(this.edge(band.start_ms), 0, this.edge(band.end_ms) - this.edge(band.start_ms), size.height);
    }
    for (const gap of this.gaps) if (gap.end_ms >= from && gap.start_ms <= to) this.hatch(context, size, gap);
  }

  hatch(context, size, gap) {
    const [left, right] = [this.edge(gap.start_ms), this.edge(gap.end_ms)];
    context.save();
    context.beginPath();
    context.rect(left, 0, right - left, size.height);
    context.clip();
    context.strokeStyle = colour('line');
    for (let x = left - size.height; x < right; x += 8) {
      context.beginPath();
      context.moveTo(x, size.height);
      context.lineTo(x + size.height, 0);
      context.stroke();
    }
    context.restore();
  }

  inView(from, to) { return this.trades.filter(trade => (trade.exit_ms ?? to) >= from && trade.entry_ms <= to); }

  paths(context, size, from, to) {
    const shown = this.inView(from, to);
    const dense = shown.length > MANY;
    for (const trade of shown) this.trade(context, trade, dense, size);
  }

  trade(context, trade, dense, size) {
    const chosen = trade.id === this.selected;
    const x0 = this.x(trade.entry_ms);
    const x1 = trade.exit_ms === null ? null : this.x(trade.exit_ms);
    const result = colour(trade.pnl < 0 ? 'down' : 'up');
    if (!dense || chosen) this.levels(context, trade, x0, x1 ?? size.width);
    if (x1 !== null) this.join(context, [x0, this.y(trade.entry_price)], [x1, this.y(trade.exit_price)], result, chosen, dense);
    this.triangle(context, x0, this.y(trade.entry_price), trade.side === 'long', dense ? 3 : 5);
    if (x1 !== null) this.dot(context, x1, this.y(trade.exit_price), result, dense ? 2 : 3.5);
  }

  levels(context, trade, x0, x1) {
    if (trade.exit_ms === null) return;
    context.setLineDash([4, 3]);
    context.lineWidth = 1;
    for (const [price, name] of [[trade.stop, 'down'], [trade.take, 'up']]) {
      const y = price === null || price === undefined ? null : this.y(price);
      if (y === null) continue;
      context.strokeStyle = colour(name);
      context.globalAlpha = 0.75;
      context.beginPath();
      context.moveTo(x0, Math.round(y) + 0.5);
      context.lineTo(Math.max(x1, x0 + 6), Math.round(y) + 0.5);
      context.stroke();
    }
    context.globalAlpha = 1;
    context.setLineDash([]);
  }

  join(context, [x0, y0], [x1, y1], stroke, chosen, dense) {
    context.strokeStyle = stroke;
    context.lineWidth = chosen ? 3 : dense ? 1 : 1.5;
    context.beginPath();
    context.moveTo(x0, y0);
    context.lineTo(x1, y1);
    context.stroke();
  }

  triangle(context, x, y, long, size) {
    const tip = long ? -size : size;
    context.fillStyle = colour('accent');
    context.strokeStyle = colour('card');
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x, y + tip);
    context.lineTo(x - size, y - tip * 0.8);
    context.lineTo(x + size, y - tip * 0.8);
    context.closePath();
    context.fill();
    context.stroke();
  }

  dot(context, x, y, fill, radius) {
    context.fillStyle = fill;
    context.strokeStyle = colour('card');
    context.lineWidth = 1;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fill();
    context.stroke();
  }

  /** The trade whose entry or exit is nearest to a point, within NEAR_PX. */
  near(x, y) {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    if (!range) return null;
    let best = null;
    let least = NEAR_PX;
    for (const trade of this.inView(this.axis.ms(range.from), this.axis.ms(range.to))) {
      const ends = [[trade.entry_ms, trade.entry_price], [trade.exit_ms, trade.exit_price]].filter(([ms]) => ms !== null);
      for (const [ms, price] of ends) {
        const far = Math.hypot(this.x(ms) - x, this.y(price) - y);
        if (far < least) [best, least] = [trade, far];
      }
    }
    return best;
  }
}
