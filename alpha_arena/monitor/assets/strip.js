// Status strip and key figures: what this is, how fresh it is, winning or losing.
import { $, el, keep, look, text } from './dom.js';
import { arrow, barName, known, number, percent, signed, signedPercent, span, t, tileDigits, time, tone, zoneName } from './format.js';

const MODES = { simulated: 'accent', embedded: 'accent', demo: 'demo', live: 'live' };

export class Strip {
  constructor(root) {
    this.root = root;
    this.down = null;
  }

  /** Time of the market now: the stored clock carried on, standing still while the engine does. */
  now() {
    if (!this.status) return NaN;
    const { now_ms: base, speed, running } = this.status.clock;
    return running && !this.down ? base + (Date.now() - this.at) * speed : base;
  }

  update(status) {
    if (status) Object.assign(this, { status, at: Date.now() });
    this.tick();
  }

  /** Nobody answers since `since` (wall time), or only with a reason why not. */
  lost(since, reason) {
    this.reason = reason;
    this.base = this.now();
    if (!this.down && this.status) Object.assign(this.status.clock, { now_ms: this.base, running: false });
    this.down = since;
    this.tick();
  }

  found() { this.down = null; }

  tick() {
    const s = this.status;
    const message = $('[data-role=message]', this.root);
    look(this.root, `strip card${this.down || (s && s.clock.stopped) ? ' down' : ''}`);
    if (this.down) text(message, t(this.reason ? 'strip.refused' : 'strip.down', { time: time(this.down, Date.now(), true), reason: this.reason }));
    else if (s && s.clock.stopped) text(message, t('strip.stopped', { time: time(s.clock.now_ms, s.clock.now_ms) }));
    else text(message, '');
    if (!s) return;
    this.chips(s);
    text($('[data-role=next]', this.root), this.next(s));
    text($('[data-role=time]', this.root), `${time(this.now(), NaN)} ${zoneName()}`);
  }

  chips(s) {
    const chips = [{ key: 'mode', name: `chip ${MODES[s.mode]}`, words: t(`mode.${s.mode}`) }];
    if (s.synthetic) chips.push({ key: 'synthetic', name: 'chip outline', words: t('strip.synthetic') });
    if (s.clock.speed !== 1 && s.clock.running) chips.push({ key: 'speed', name: 'chip', words: t('strip.speed', { speed: number(s.clock.speed, 0) }) });
    for (const feed of this.feeds(s)) chips.push(feed);
    for (const one of s.switches) chips.push({ key: `${one.kind}${one.trader}`, name: 'chip bad', words: this.told(one) });
    for (const one of s.accounts) chips.push({ key: `account${one.trader}`, name: 'chip warn', words: t('strip.account', one) });
    for (const halt of s.halts) chips.push({ key: `halt${halt.trader}`, name: 'chip bad', words: t('strip.halted', { trader: halt.trader, reason: halt.reason }) });
    keep($('[data-role=chips]', this.root), chips, chip => chip.key, () => el('span'), (node, chip) => {
      look(node, chip.name);
      text(node, chip.words);
      node.title = chip.words;
    });
  }

  /** What a person has told the traders, by whom and when. */
  told(one) {
    const who = one.trader || t('strip.everyone');
    const when = one.ts ? time(one.ts, this.now()) : '';
    return t(`strip.${one.kind}`, { who, by: one.made_by, when, policy: one.policy, reason: one.reason }).trim();
  }

  /** The worst feed with its age: stale once two of its bars should have come. */
  feeds(s) {
    const ages = s.feeds.map(feed => ({ ...feed, age: this.now() - feed.close_ms }));
    if (!ages.length) return [{ key: 'feeds', name: 'chip warn', words: t('strip.nofeed') }];
    const worst = ages.reduce((a, b) => (b.age / b.bar_ms > a.age / a.bar_ms ? b : a));
    if (worst.age <= 2 * worst.bar_ms + 20000 * s.clock.speed) return [{ key: 'feeds', name: 'chip good', words: t('strip.fresh') }];
    return [{ key: 'feeds', name: 'chip warn', words: t('strip.stale', { feed: `${worst.symbol} ${barName(worst.bar_ms)}`, age: span(worst.age) }) }];
  }

  next(s) {
    if (!s.clock.running || this.down || !known(s.next_decision_ms)) return '';
    const left = (Math.ceil((this.now() + 1) / s.bar_ms) * s.bar_ms - this.now()) / s.clock.speed;
    return t('strip.next', { span: span(left) });
  }
}

/** Six tiles; a figure that is not known is a dash. */
export function showKpi(root, kpi, quote, symbols) {
  const tile = name => $(`[data-kpi=${name}]`, root);
  const put = (name, big, shade, sub, subShade = '') => {
    text($('.big', tile(name)), big);
    look($('.big', tile(name)), `big ${shade}`);
    text($('.sub', tile(name)), sub);
    look($('.sub', tile(name)), `sub ${subShade}`);
    $('.sub', tile(name)).title = sub;
  };
  const money = value => number(value, tileDigits(value));
  put('equity', money(kpi.equity), '', quote);
  put('today', arrow(kpi.today) + signed(kpi.today, tileDigits(kpi.today)), tone(kpi.today),
    `${signedPercent(kpi.today_fraction)} ${t('kpi.since')}`, tone(kpi.today_fraction * 100));
  put('total', arrow(kpi.total) + signed(kpi.total, tileDigits(kpi.total)), tone(kpi.total),
    `${signedPercent(kpi.total_fraction)} · ${t('kpi.hold', { hold: signedPercent(kpi.hold_fraction) })}`);
  put('drawdown', percent(kpi.drawdown), tone(kpi.drawdown * 100), t('kpi.worst', { worst: percent(kpi.max_drawdown) }));
  holding(put, kpi, quote, symbols);
  put('exposure', percent(kpi.exposure, 0), '', t('kpi.notional', { notional: number(kpi.notional, 0), quote }));
}

function holding(put, kpi, quote, symbols) {
  if (!known(kpi.equity)) return put('position', '–', '', '');
  if (!kpi.held) return put('position', t('position.flat'), '', t('kpi.nothing'));
  const symbol = symbols.get(kpi.largest) ?? { base: kpi.largest, lotDigits: 4 };
  const side = `${kpi.largest_quantity > 0 ? '▲' : '▼'} ${t(kpi.largest_quantity > 0 ? 'side.long' : 'side.short')}`;
  const big = kpi.held > 1 ? t('kpi.several', { n: kpi.held }) : `${side} ${number(Math.abs(kpi.largest_quantity), symbol.lotDigits)}`;
  return put('position', big, '', t('kpi.unrealised', { base: symbol.base, amount: signed(kpi.unrealised), quote }), tone(kpi.unrealised));
}

