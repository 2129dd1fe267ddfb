// What the model's closed decisions earned, as the model itself was shown it at its newest decision.
import { $, el, keep, look, text } from './dom.js';
import { known, number, percent, signedPercent, t, time, tone } from './format.js';

const GROUPS = ['best_strategy', 'worst_strategy', 'best_regime', 'worst_regime'];
const FIELDS = ['n', 'win_rate', 'mean_return', ...GROUPS];

/** `told`: feedback with the time at which it was shown; null where no model decides. */
export function showFeedback(panel, told, now) {
  panel.hidden = !told;
  if (!told) return;
  text($('[data-role=shown]', panel), t('feedback.shown', { time: time(told.ts, now) }));
  const few = $('[data-role=few]', panel);
  text(few, told.insufficient ? t('feedback.insufficient', { n: told.n, least: told.least }) : t('feedback.of', { last: told.last, flat: told.flat }));
  keep($('.facts', panel), told.insufficient ? [] : FIELDS, name => name, make, (node, name) => fill(node, name, told));
}

function make(name) { return el('div', '', '', el('dt', '', t(`feedback.${name}`)), el('dd', '', '', el('b'), el('div', 'dim'))); }

function fill(node, name, told) {
  const [value, below] = $('dd', node).children;
  if (!GROUPS.includes(name)) {
    text(value, name === 'n' ? number(told.n, 0) : name === 'win_rate' ? percent(told.win_rate, 0) : signedPercent(told.mean_return));
    look(value, name === 'mean_return' ? tone(told.mean_return * 100) : '');
    return;
  }
  const group = told[name];
  text(value, group ? word(name, group.name) : t('feedback.few'));
  text(below, group && known(group.mean_return) ? t('feedback.group', { return: signedPercent(group.mean_return), n: group.n }) : '');
}

const word = (name, value) => name.endsWith('regime') && value !== 'UNKNOWN' ? t(`regime.${value}`) : value;
