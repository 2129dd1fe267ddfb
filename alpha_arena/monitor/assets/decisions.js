// Decisions, newest first: what was decided, in which regime, why, and what a risk rule refused. Cards are added on top, never rewritten.
import { $, el, group, keep, text } from './dom.js';
import { known, number, percent, signedPercent, t, time } from './format.js';
import { get } from './net.js';
import { link, state } from './state.js';
import { fallbackLine, modelLine, outcomeLine, talkOf } from './talk.js';

const FILTERS = ['all', 'acted', 'refused', 'fallback'];

export class Decisions {
  constructor(panel, onSelect) {
    Object.assign(this, { panel, onSelect, filter: 'all', feed: $('.feed', panel), details: new Map() });
    group($('[data-role=filter]', panel), FILTERS.map(key => [key, t(`decisions.${key}`)]), this.filter, key => { this.filter = key; this.refresh(true); });
  }

  async refresh(fresh = false) {
    const { filter } = this;
    const body = await get('/api/decisions', { trader: state.trader, symbol: state.symbol, filter, limit: 60 }, fresh);
    if (!body || filter !== this.filter) return;
    this.rows = body.decisions;
    this.show();
  }

  show() {
    const none = $('[data-role=none]', this.panel);
    none.hidden = this.rows.length > 0;
    text(none, t('decisions.none'));
    keep(this.feed, this.rows, row => row.id, row => this.make(row), (node, row) => this.mark(node, row));
  }

  make(row) {
    const head = el('div', 'line', '', el('span', 'chip', this.action(row)), el('span', 'who', row.trader));
    if (row.regime && row.regime !== 'UNKNOWN') head.append(el('span', 'chip', t(`regime.${row.regime}`)));
    const id = el('a', '', `#${row.id}`);
    id.href = link({ sel: `decision:${row.id}` });
    id.addEventListener('click', event => { event.preventDefault(); this.onSelect(`decision:${row.id}`); });
    const when = el('span', 'when', `${time(row.ts, this.now)} `, id);
    when.title = new Date(row.ts).toISOString();
    head.append(when);
    const card = el('article', 'decision', '', head);
    const why = reasonOf(row);
    if (why) card.append(el('p', 'why', why));
    for (const refusal of row.refusals) card.append(el('p', 'refused', `✕ ${t('decisions.refusal')} — ${refusal.rule}: ${refusal.reason}`));
    if (fellBack(row)) card.append(fallbackLine(row));
    const foot = el('p', 'dim', this.facts(row));
    if (row.catch_up) foot.append(' ', el('span', 'chip outline', t('decisions.catch_up')));
    card.append(foot, el('div', 'detail'));
    return card;
  }

  action(row) { return `${{ enter_long: '▲ ', enter_short: '▼ ' }[row.action] ?? ''}${t(`action.${row.action}`)}`; }

  facts(row) {
    const parts = [row.decider, t('decisions.exposure', { exposure: signedPercent(row.exposure, 1) })];
    if (row.model) return [...parts, modelLine(row)].join(' · ');
    if (row.confidence !== 1 && known(row.confidence)) parts.push(t('decisions.confidence', { confidence: percent(row.confidence, 0) }));
    return parts.join(' · ');
  }

  mark(node, row) {
    const open = state.sel === `decision:${row.id}`;
    node.classList.toggle('open', open);
    const box = $('.detail', node);
    if (!open) box.replaceChildren();
    else if (!box.childElementCount) this.detail(box, row.id);
  }

  async detail(box, id) {
    const body = await get(`/api/decisions/${id}`, {}, true).catch(() => null);
    if (!body || box.childElementCount) return;
    const d = body.decision;
    box.append(facts([
      [t('decisions.wanted'), signedPercent(d.wanted_exposure, 2)], [t('decisions.target'), signedPercent(d.exposure, 2)],
      [t('position.stop'), number(d.stop, this.digits)], [t('position.take'), number(d.take, this.digits)],
      [t('decisions.price'), number(d.price, this.digits)], [t('kpi.equity'), number(d.equity)],
      ...Object.entries(d.indicators).map(([name, value]) => [name, number(value, 4)]),
    ]));
    if (d.allocations.length) box.append(shares(d.allocations));
    if (d.outcome) box.append(outcomeLine(d.outcome, this.now));
    if (d.record) box.append(talkOf(d.record, this.now));
  }

  /** Bring an opened card into view; one that is not in the feed is fetched alone. */
  async reveal(id) {
    if (this.rows && !this.rows.some(row => String(row.id) === id)) {
      const body = await get(`/api/decisions/${id}`, {}, true).catch(() => null);
      if (!body) return false;
      this.rows = [body.decision, ...this.rows];
    }
    this.show();
    const card = [...this.feed.children].find(node => node.dataset.key === id);
    if (card) this.feed.scrollTop = card.offsetTop - this.feed.offsetTop;
    return Boolean(card);
  }
}

/** Over a past bar no model is to be asked: that is no fallback. */
const fellBack = row => row.model?.level && !row.catch_up;

/** Why it was decided so; of what a fallback left only the fallback tells. */
function reasonOf(row) {
  if (fellBack(row)) return row.model.reason;
  return row.model?.reason || row.why || t('decisions.no_reason');
}

function facts(pairs) {
  const body = el('tbody');
  for (let i = 0; i < pairs.length; i += 2) {
    const row = el('tr');
    for (const [name, value] of pairs.slice(i, i + 2)) row.append(el('th', '', name), el('td', 'number', value));
    body.append(row);
  }
  return el('table', '', '', body);
}

function shares(allocations) {
  const names = ['strategy', 'weight', 'exposure', 'reason'];
  const head = el('tr', '', '', ...names.map(name => el('th', name === 'weight' || name === 'exposure' ? 'number' : '', t(`shares.${name}`))));
  const rows = allocations.map(one => el('tr', '', '', el('td', '', one.strategy_id), el('td', 'number', percent(one.weight, 1)),
    el('td', 'number', signedPercent(one.exposure, 1)), el('td', '', one.reasoning)));
  return el('table', '', '', el('thead', '', '', head), el('tbody', '', '', ...rows));
}
