// The arena: all traders and their benchmarks over the same closes; who is first, and whether that means anything.
import { BoardTable, SORTABLE, scaleOf, worth } from './board.js';
import { $, el, keep, text } from './dom.js';
import { number, percent, signedPercent, span, t, time } from './format.js';
import { get } from './net.js';
import { RaceChart } from './race.js';
import { Shell } from './shell.js';
import { link, remember, state } from './state.js';

// a new board comes once a bar at most
const SLOWER = 6;
const SOON_MS = 1000;
const BOARDS = ['board', 'contaminated'];

export class ArenaPage extends Shell {
  constructor(root) {
    super(root, 'arena', SLOWER);
    this.asked();
  }

  /** The order that the address asks for. */
  asked() {
    const query = new URLSearchParams(location.search);
    const sort = query.get('sort');
    if (sort && !SORTABLE.includes(sort)) state.complaints.push(['sort', sort]);
    state.sort = SORTABLE.includes(sort) ? sort : 'total_return';
    state.desc = (query.get('desc') ?? '1') !== '0';
  }

  async read() {
    const status = await get('/api/status');
    this.strip.update(status);
    this.answered = Date.now();
    if (!this.tables) this.draw();
    await Promise.all([this.attempt('board', () => this.figures()), this.attempt('race', () => this.race.refresh())]);
    const { rows = [], computing, coming } = this.body ?? {};
    if (rows.length || !computing) await this.ready();
    if (computing && (coming || !rows.length)) this.again ??= setTimeout(() => { this.again = undefined; this.turn(); }, SOON_MS);
  }

  draw() {
    this.tables = BOARDS.map(name => new BoardTable(this.panel(name), column => this.sort(column)));
    this.race = new RaceChart(this.panel('race'), name => location.assign(this.trader(name)));
    this.complain();
  }

  trader(name) { return `/${link({}, ['lang', 'tz', '__theme']) || '?'}&trader=${encodeURIComponent(name)}`.replace('?&', '?'); }

  async figures() {
    const body = await get('/api/arena');
    if (!body) return;
    this.body = body;
    this.race.now = this.strip.now();
    this.show();
  }

  show() {
    const { body } = this;
    const context = { quote: 'USDT', now: this.strip.now(), scale: scaleOf(body.rows), computing: body.computing, trader: name => this.trader(name) };
    const [clean, dirty] = [body.rows.filter(row => !row.contaminated), body.rows.filter(row => row.contaminated)];
    this.tables[0].show(clean, context);
    this.tables[1].show(dirty, context);
    this.panel('contaminated').hidden = !dirty.length;
    text($('[data-role=terms]', this.panel('board')), body.rows.length ? this.terms(body) : '');
    text($('[data-role=terms]', this.panel('contaminated')), t('contaminated.about'));
    this.notes(body, clean);
    for (const mark of this.root.querySelectorAll('.watermark')) mark.hidden = !body.synthetic;
  }

  terms(body) {
    const bars = t('board.terms', { span: span(body.bars * body.bar_ms), bar: body.timeframe, time: time(body.end_ts + body.bar_ms, this.strip.now()) });
    return body.computing && !body.coming ? `${bars} · ${t('board.newer')}` : bars;
  }

  notes(body, rows) {
    const said = body.rows.length ? [worth(rows)] : [];
    if (body.synthetic) said.push(t('board.synthetic'));
    if (body.random?.seeds) said.push(t('race.band', { n: number(body.random.seeds, 0), low: signedPercent(body.random.low), middle: signedPercent(body.random.middle), high: signedPercent(body.random.high) }));
    if (body.tried) said.push(t('board.tried', { n: number(body.tried, 0) }));
    if (body.missing) said.push(body.missing);
    if (body.coming) said.push(t('board.coming'));
    for (const row of rows) if (row.kind === 'trader' && row.loses_to.length) said.push(t('board.loses', { name: row.name, names: row.loses_to.map(one => t(`benchmark.${one}`)).join(', ') }));
    for (const row of rows) if (row.kind === 'trader' && row.decisions && row.fallback_rate > 0.5) said.push(t('board.fallen', { name: row.name, share: percent(row.fallback_rate, 0) }));
    keep($('[data-role=notes]', this.panel('board')), said, words => words, words => el('li', '', words), () => {});
  }

  sort(column) {
    state.desc = state.sort === column ? !state.desc : !['rank', 'name'].includes(column);
    state.sort = column;
    remember({ sort: state.sort, desc: state.desc ? '1' : '0' });
    this.show();
  }

  repaint() { this.race?.repaint(); }

  back() {
    this.asked();
    if (this.body) this.show();
  }
}
