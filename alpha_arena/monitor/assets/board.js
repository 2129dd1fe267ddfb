// The leaderboard: rows kept in place, sorted by the buttons in its head, columns in groups of which one is shown.
import { $, el, group, keep, look, text } from './dom.js';
import { called } from './equity.js';
import { iso, known, number, percent, signedPercent, span, t, time, tone } from './format.js';
import { state } from './state.js';
import { dollars, seconds } from './talk.js';

const FEW_TRADES = 30;
const VIEWS = ['result', 'risk', 'costs', 'models', 'every'];
const cost = value => [number(value, 2)];
const share = value => [percent(value, 1)];
const gain = value => [signedPercent(value, 2), tone(value * 100)];

/** A column: its values, in which views it stands ('narrow' ones also on a phone), how it is written. */
const column = (views, write, narrow = false) => ({ views, write, narrow });
export const COLUMNS = {
  rank: column(VIEWS, null, true),
  name: column(VIEWS, null, true),
  total_return: column(VIEWS, row => gain(row.total_return), true),
  equity: column(['result'], row => cost(row.equity)),
  vs_hold: column(['result'], row => gain(row.vs_hold), true),
  today: column(['result'], row => gain(row.today)),
  max_drawdown: column(['result', 'risk'], row => [percent(row.max_drawdown, 2), tone(row.max_drawdown * 100)], true),
  sharpe: column(['result', 'risk'], null),
  sharpe_error: column(['risk'], row => [number(row.sharpe_error, 2)]),
  psr: column(['risk'], row => share(row.psr)),
  dsr: column(['risk'], row => share(row.dsr)),
  least_days: column(['risk'], row => [known(row.least_days) ? t('span.d', { n: number(row.least_days, 0) }) : known(row.sharpe) ? '∞' : '–']),
  volatility: column(['risk'], row => share(row.volatility)),
  random_share: column(['risk'], row => share(row.random_share)),
  trades: column(['result', 'costs'], row => [number(row.trades, 0)]),
  win_rate: column(['result'], row => [percent(row.win_rate, 0)]),
  exposure: column(['costs'], row => share(row.exposure), true),
  turnover: column(['costs'], row => [number(row.turnover, 1)]),
  average_held_ms: column(['costs'], row => [span(row.average_held_ms)]),
  fees: column(['costs'], row => cost(row.fees), true),
  funding: column(['costs'], row => cost(row.funding)),
  net_return: column(['models'], row => gain(row.net_return)),
  llm_cost_usd: column(['models'], row => [row.decisions ? dollars(row.llm_cost_usd) : '–'], true),
  llm_cost_bps: column(['models'], row => [number(row.llm_cost_bps, 2)]),
  decisions: column(['models'], row => [row.decisions ? number(row.decisions, 0) : '–']),
  parse_failure_rate: column(['models'], row => share(row.parse_failure_rate)),
  fallback_rate: column(['models'], row => share(row.fallback_rate), true),
  latency_ms: column(['models'], row => [seconds(row.latency_ms)]),
  samples: column(['models'], row => [row.samples > 1 ? `${row.samples}: ${signedPercent(row.return_low, 1)} … ${signedPercent(row.return_high, 1)}` : '–']),
  spark: column(['result'], null),
};
export const SORTABLE = Object.keys(COLUMNS).filter(name => name !== 'spark');
const DRAWN = ['rank', 'name', 'sharpe', 'spark'];

export class BoardTable {
  constructor(panel, onSort) {
    Object.assign(this, { panel, onSort, view: 'result', rows: [] });
    group($('[data-role=view]', panel), VIEWS.map(key => [key, t(`board.${key}`)]), this.view, key => { this.view = key; this.fresh(); });
  }

  columns() { return Object.keys(COLUMNS).filter(name => this.view === 'every' || COLUMNS[name].views.includes(this.view)); }

  fresh() {
    $('tbody', this.panel).replaceChildren();
    $('thead tr', this.panel).replaceChildren();
    this.show(this.rows, this.context);
  }

  /** context: quote currency, the data's time, the scale of all Sharpe intervals. */
  show(rows, context) {
    Object.assign(this, { rows, context });
    text($('caption', this.panel), t('board.title'));
    this.head();
    const none = $('[data-role=none]', this.panel);
    none.hidden = rows.length > 0;
    text(none, t(context.computing ? 'board.computing' : 'board.none'));
    keep($('tbody', this.panel), sorted(rows), row => `${row.kind}:${row.name}`, row => this.make(row), (node, row) => this.fill(node, row));
  }

  head() {
    keep($('thead tr', this.panel), this.columns(), name => name, name => {
      const cell = el('th', this.look(name));
      cell.scope = 'col';
      if (!SORTABLE.includes(name)) { cell.textContent = t(`board.${name}`); return cell; }
      const button = el('button', '', '', el('span'), el('i'));
      button.type = 'button';
      button.addEventListener('click', () => this.onSort(name));
      cell.append(button);
      return cell;
    }, (cell, name) => this.label(cell, name));
  }

  label(cell, name) {
    if (!SORTABLE.includes(name)) return;
    const chosen = state.sort === name;
    cell.setAttribute('aria-sort', chosen ? (state.desc ? 'descending' : 'ascending') : 'none');
    const unit = ['equity', 'fees', 'funding'].includes(name) ? `, ${this.context.quote}` : '';
    const [words, arrow] = $('button', cell).children;
    text(words, t(`board.${name}`) + unit);
    text(arrow, chosen ? (state.desc ? '↓' : '↑') : '');
    cell.title = t(`about.${name}`);
  }

  look(name) {
    const narrow = COLUMNS[name].narrow || this.view === 'every' ? '' : ' wide';
    return `${name === 'name' || name === 'spark' ? '' : 'number'}${narrow} c-${name}`;
  }

  make(row) {
    const node = el('tr', row.kind, '', ...this.columns().map(name => el('td', this.look(name))));
    if (row.kind !== 'trader') node.classList.add('grey');
    return node;
  }

  fill(node, row) {
    this.columns().forEach((name, place) => {
      const cell = node.children[place];
      if (DRAWN.includes(name)) return this[name](cell, row);
      const [value, shade = ''] = COLUMNS[name].write(row);
      text(cell, value);
      look(cell, `${this.look(name)} ${shade}`.trim());
      return null;
    });
  }

  rank(cell, row) {
    if (!cell.childElementCount) cell.append(el('span'), el('span', 'chip tie'));
    const [rank, tie] = cell.children;
    text(rank, row.rank === null ? '' : String(row.rank));
    const mates = this.rows.filter(other => other.group !== null && other.group === row.group);
    text(tie, row.group !== null && mates.length > 1 ? `=${String.fromCharCode(64 + row.group)}` : '');
    tie.title = mates.length > 1 ? t('board.tied', { names: mates.map(one => one.name).join(', ') }) : '';
  }

  name(cell, row) {
    if (!cell.childElementCount) cell.append(el(row.kind === 'trader' ? 'a' : 'span', 'who'), el('span', 'chips'));
    const [who, chips] = cell.children;
    text(who, row.kind === 'benchmark' ? called(`${row.kind}:${row.name}`) : row.name);
    if (row.kind === 'trader') who.href = this.context.trader(row.name);
    const said = [];
    if (row.kind === 'benchmark') said.push(['benchmark', '', t('board.benchmark'), row.about]);
    if (row.kind === 'trader' && row.trades < FEW_TRADES) said.push(['few', ' warn', t('board.few'), t('board.few_about', { n: row.trades })]);
    if (row.late) said.push(['late', '', t('board.late', { time: time(row.since_ms, this.context.now) }), iso(row.since_ms)]);
    if (row.contaminated) said.push(['contaminated', ' bad', t('board.contaminated'), t('contaminated.about')]);
    if (row.kind === 'trader' && row.rank === null && !row.silent && !row.contaminated) said.push(['unpriced', ' warn', t('board.unpriced'), t('board.unpriced_about')]);
    if (row.silent) said.push(['silent', ' warn', t('board.silent'), t('board.silent_about')]);
    keep(chips, said, one => one[0], () => el('span'), (chip, [, shade, words, about]) => {
      look(chip, `chip${shade}`);
      text(chip, words);
      chip.title = about;
    });
  }

  sharpe(cell, row) {
    if (!cell.childElementCount) cell.append(el('span', 'figure'), el('span', 'interval', '', el('i', 'zero'), el('i', 'reach'), el('i', 'dot')));
    const [figure, drawing] = cell.children;
    const told = known(row.sharpe_low) && known(row.sharpe_high) ? ` [${number(row.sharpe_low, 1)}, ${number(row.sharpe_high, 1)}]` : '';
    text(figure, number(row.sharpe, 2) + told);
    drawing.classList.toggle('none', !told);
    if (!told) return;
    const { low, high } = this.context.scale;
    const place = value => `${(value - low) / (high - low) * 100}%`;
    const [zero, reach, dot] = drawing.children;
    zero.style.left = place(0);
    reach.style.left = place(row.sharpe_low);
    reach.style.width = `${(row.sharpe_high - row.sharpe_low) / (high - low) * 100}%`;
    dot.style.left = place(row.sharpe);
  }

  spark(cell, row) {
    if (!cell.childElementCount) {
      const svg = $('[data-role=spark]').content.firstElementChild.cloneNode(true);
      cell.append(svg);
    }
    const [low, high] = [Math.min(0, ...row.spark), Math.max(0, ...row.spark)];
    const y = value => high === low ? 11 : 20 - (value - low) / (high - low) * 18;
    const points = row.spark.map((value, i) => `${i / Math.max(1, row.spark.length - 1) * 94 + 1},${y(value).toFixed(1)}`).join(' ');
    const line = cell.firstElementChild.firstElementChild;
    if (line.getAttribute('points') !== points) line.setAttribute('points', points);
  }
}

/** By the chosen column; what is not known last, either way; equal ones by the board's order. */
export function sorted(rows) {
  const value = row => state.sort === 'name' ? row.name : row[state.sort];
  const missing = row => value(row) === null || value(row) === undefined || value(row) === '';
  const order = (a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0) * (state.desc ? -1 : 1);
  return [...rows].sort((a, b) => (missing(a) - missing(b)) || (missing(a) ? 0 : order(a, b)));
}

/** One scale for the intervals of all rows, with zero on it. */
export function scaleOf(rows) {
  const ends = rows.flatMap(row => [row.sharpe_low, row.sharpe_high]).filter(known);
  const [low, high] = [Math.min(0, ...ends), Math.max(0, ...ends)];
  return high > low ? { low, high } : { low: -1, high: 1 };
}

/** What the order is worth, in a sentence. */
export function worth(rows) {
  const ranked = rows.filter(row => row.rank !== null);
  if (!ranked.length) return t('worth.nobody');
  if (ranked.length === 1) return t('worth.alone');
  const leaders = ranked.filter(row => row.group === 1);
  if (leaders.length === 1) return t('worth.established', { name: leaders[0].name });
  return t(leaders.length === ranked.length ? 'worth.none' : 'worth.first', { n: leaders.length, of: ranked.length });
}
