// What a language model had to do with a decision: its line on a card, and everything that was told and said where one is opened.
import { el, text } from './dom.js';
import { UNKNOWN, known, number, percent, signedPercent, t, time } from './format.js';

const MOMENT_MS = 1500;
const CENTS = 2;

/** Money for a model: cents, or the first two digits of less; a dash where it is not known. */
export function dollars(value) {
  if (!known(value)) return `${UNKNOWN} USD`;
  const digits = value > 0 ? Math.min(6, Math.max(CENTS, Math.ceil(-Math.log10(value)) + 1)) : CENTS;
  return `${number(value, digits)} USD`;
}

export const seconds = ms => known(ms) ? t('span.exact', { n: number(ms / 1000, 1) }) : UNKNOWN;

/** `model · 2.1 s · stated confidence 62 % · 1,100 tokens · 0.0003 USD`. */
export function modelLine(row) {
  const { model, requested, asked, tokens, replayed } = row.model;
  if (!asked) return t('model.nobody');
  const parts = [model || requested || UNKNOWN, seconds(row.model.latency_ms), t('decisions.confidence', { confidence: percent(row.confidence, 0) }),
    t('model.tokens', { n: number(tokens, 0) }), dollars(row.model.cost_usd)];
  return [...parts, ...(replayed ? [t('model.replayed')] : [])].join(' · ');
}

/** The level in words, amber, and what went wrong. */
export function fallbackLine(row) {
  const { level, cause, selected } = row.model;
  const words = `${t('model.fallback')} ${level}: ${t(`level.${level}`)}`;
  const line = el('p', 'cause', '', el('span', 'chip warn', selected ? `${words}, ${selected}` : words));
  if (cause) line.append(' ', cause);
  return line;
}

/** Everything of a DecisionRecord, each part folded, with a button that copies it. */
export function talkOf(record, now) {
  const parts = [folded('model.answer', record.response_raw ?? '')];
  if (record.reasoning_trace) parts.push(folded('model.thinking', record.reasoning_trace));
  parts.push(
    folded('model.prompt', record.messages.map(one => `[${one.role}]\n${one.content}`).join('\n\n'), template(record)),
    folded('model.parsed', record.parsed ? JSON.stringify(record.parsed, null, 2) : '', checks(record.validation)),
    folded('model.calls', JSON.stringify(record.attempts, null, 2), calls(record)),
    folded('model.feedback', record.feedback ? JSON.stringify(record.feedback, null, 2) : ''),
    folded('model.record', JSON.stringify(record, null, 2), el('p', 'dim', t('model.asof', { time: time(record.asof_ts, now), id: record.decision_id }))),
  );
  return el('div', 'talk', '', ...parts);
}

function folded(key, words, ...above) {
  const box = el('details', '', '', el('summary', '', t(key)), ...above);
  if (!words) {
    box.append(el('p', 'dim', t('model.nothing')));
    return box;
  }
  const copy = el('button', 'toggle copy', t('model.copy'));
  copy.type = 'button';
  copy.addEventListener('click', async () => {
    text(copy, t((await copied(words)) ? 'model.copied' : 'model.not_copied'));
    setTimeout(() => text(copy, t('model.copy')), MOMENT_MS);
  });
  const block = el('pre', '', words);
  block.tabIndex = 0;
  box.append(copy, block);
  return box;
}

async function copied(words) {
  try {
    await navigator.clipboard.writeText(words);
    return true;
  } catch { return false; }
}

const template = record => el('p', 'dim', t('model.template', { id: record.prompt_template_id, hash: record.template_sha256.slice(0, 12) }));

function checks({ ok, errors, repairs }) {
  const list = el('ul', '', '', el('li', ok ? '' : 'refused', t(ok ? 'model.valid' : 'model.invalid')));
  for (const error of errors) list.append(el('li', 'refused', `✕ ${error}`));
  for (const repair of repairs) list.append(el('li', '', `${t('model.repaired')}: ${repair}`));
  return list;
}

function calls(record) {
  const usage = record.usage ?? {};
  const rows = record.attempts.map(one => el('li', one.error_class || one.errors ? 'refused' : '',
    `${one.provider} · ${one.model} · ${one.http_status ?? UNKNOWN} · ${seconds(one.latency_ms)} ${one.error_class || one.errors?.[0] || ''}`));
  const told = t('model.usage', { prompt: number(usage.prompt, 0), cached: number(usage.cached_prompt, 0), completion: number(usage.completion, 0),
    reasoning: number(usage.reasoning, 0), cost: dollars(record.cost_usd) });
  return el('div', '', '', el('ol', '', '', ...rows), el('p', 'dim', told));
}

/** What came of a decision, once the next one is filled. */
export function outcomeLine(outcome, now) {
  const { return_: gained, pnl, fees, funding, closed_ts: closed } = outcome;
  return el('p', 'dim', t('model.outcome', { return: signedPercent(gained), pnl: number(pnl), fees: number(fees), funding: number(funding), time: time(closed, now) }));
}
