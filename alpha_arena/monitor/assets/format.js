// Numbers, times and words as the page writes them: U+2212 for minus, a dash for what is unknown, never NaN.
export const MINUS = '\u2212';
export const UNKNOWN = '\u2013';

let words = {};
let language = 'en';
let zone = 'utc';

export async function speak(lang) {
  const answer = await fetch(`/monitor/assets/lang/${lang}.json`);
  words = await answer.json();
  language = lang;
  document.documentElement.lang = lang;
}

export function setZone(name) { zone = name; }

/** The sentence of a key, {names} filled in. */
export function t(key, values = {}) {
  const sentence = words[key] ?? key;
  return sentence.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ''));
}

export const known = value => typeof value === 'number' && Number.isFinite(value);

/** Decimals of a step such as a tick: 0.1 has 1. */
export function digitsOf(step) {
  if (!known(step) || step <= 0) return 2;
  return Math.max(0, Math.min(8, Math.ceil(-Math.log10(step) - 1e-9)));
}

export function number(value, digits = 2) {
  if (!known(value)) return UNKNOWN;
  const size = Math.abs(value).toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return value < 0 && /[1-9]/.test(size) ? MINUS + size : size;
}

export function signed(value, digits = 2) {
  const text = number(value, digits);
  return known(value) && value > 0 && /[1-9]/.test(text) ? '+' + text : text;
}

export const percent = (value, digits = 2) => known(value) ? `${number(value * 100, digits)} %` : UNKNOWN;
export const signedPercent = (value, digits = 2) => known(value) ? `${signed(value * 100, digits)} %` : UNKNOWN;
/** Money in a tile: no decimals past six digits. */
export const tileDigits = value => known(value) && Math.abs(value) >= 1e6 ? 0 : 2;

/** The sign as it is shown: a value that rounds to zero has none. */
export function direction(value, digits = 2) {
  const text = number(value, digits);
  if (!known(value) || !/[1-9]/.test(text)) return 0;
  return value > 0 ? 1 : -1;
}
export const tone = (value, digits = 2) => ['loss', '', 'up'][direction(value, digits) + 1];
export const arrow = (value, digits = 2) => ['\u25bc\u00a0', '', '\u25b2\u00a0'][direction(value, digits) + 1];

/** Parts of a time in the page's zone. */
export function parts(ms) {
  const d = new Date(ms);
  return zone === 'local'
    ? { y: d.getFullYear(), mo: d.getMonth(), d: d.getDate(), h: d.getHours(), mi: d.getMinutes(), s: d.getSeconds() }
    : { y: d.getUTCFullYear(), mo: d.getUTCMonth(), d: d.getUTCDate(), h: d.getUTCHours(), mi: d.getUTCMinutes(), s: d.getUTCSeconds() };
}
const two = value => String(value).padStart(2, '0');
const month = index => t('months').split(' ')[index];
export const clockOf = p => `${two(p.h)}:${two(p.mi)}`;
export const dayOf = p => t('time.day', { day: language === 'en' ? two(p.d) : p.d, month: month(p.mo) });
export const monthOf = p => month(p.mo);
/** "30 Apr 22:56"; the year where it is not that of `now`. */
export function time(ms, now, seconds = false) {
  if (!known(ms)) return UNKNOWN;
  const p = parts(ms);
  const year = known(now) && parts(now).y === p.y ? '' : ` ${p.y}`;
  return `${dayOf(p)}${year} ${clockOf(p)}${seconds ? ':' + two(p.s) : ''}`;
}
export const zoneName = () => t(zone === 'local' ? 'zone.local' : 'zone.utc');
export const iso = ms => known(ms) ? new Date(ms).toISOString() : '';

/** A length of time in its two largest words: "2 h 10 min". */
export function span(ms) {
  if (!known(ms)) return UNKNOWN;
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return t('span.s', { n: s });
  if (s < 3600) return t('span.min', { n: Math.floor(s / 60) });
  if (s < 172800) {
    const rest = Math.floor(s % 3600 / 60);
    return t('span.h', { n: Math.floor(s / 3600) }) + (rest ? ' ' + t('span.min', { n: rest }) : '');
  }
  return t('span.d', { n: (s / 86400).toFixed(1) });
}
export function barName(ms) {
  const minutes = ms / 60000;
  if (minutes % 1440 === 0) return `${minutes / 1440} d`;
  return minutes % 60 === 0 ? `${minutes / 60} h` : `${minutes} min`;
}
