// The equity race: everybody on the board, and between which curves traders at random ended up.
import { colour } from './dom.js';
import { EquityChart } from './equity.js';
import { known } from './format.js';

export class RaceChart extends EquityChart {
  constructor(panel, onTrader) { super(panel, onTrader, null, '/api/arena/equity'); }

  line(name, place, body) {
    super.line(name, place, body);
    if (place || this.shading) return;
    this.shading = new Shading(this);
    this.series.get(name).attachPrimitive(this.shading);
  }
}

/** Fills what lies between the lowest and the highest of the random traders, and draws their middle; under everything else. */
class Shading {
  constructor(race) { this.race = race; }
  attached({ chart, series }) { Object.assign(this, { chart, series }); }
  detached() { this.chart = null; }
  updateAllViews() {}
  paneViews() { return [{ zOrder: () => 'bottom', renderer: () => ({ draw: target => this.paint(target) }) }]; }
  /** The scale makes room for the band. */
  autoscaleInfo() {
    const band = this.race.body?.band;
    if (!band) return null;
    return { priceRange: { minValue: Math.min(...band.low.filter(known)), maxValue: Math.max(...band.high.filter(known)) } };
  }

  places(values) {
    const { axis, body } = this.race;
    return values.map((value, i) => [axis.x(this.chart, axis.index(body.ts[i])), this.series.priceToCoordinate(value)]);
  }

  paint(target) {
    const band = this.race.body?.band;
    if (!band) return;
    target.useMediaCoordinateSpace(({ context }) => {
      const [low, middle, high] = [band.low, band.middle, band.high].map(values => this.places(values));
      context.save();
      context.fillStyle = context.strokeStyle = colour('hold');
      context.globalAlpha = 0.14;
      context.beginPath();
      for (const [x, y] of [...high, ...low.reverse()]) context.lineTo(x, y);
      context.fill();
      context.globalAlpha = 0.5;
      context.beginPath();
      for (const [x, y] of middle) context.lineTo(x, y);
      context.stroke();
      context.restore();
    });
  }
}
