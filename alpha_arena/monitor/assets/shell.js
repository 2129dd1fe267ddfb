// What every page has: language, zone and theme, the strip, navigation, one poll loop, panels that fail alone.
import { $, group, painted, text } from './dom.js';
import { setZone, speak, t, time } from './format.js';
import { Refused, forget, poll } from './net.js';
import { link, setting, state, store } from './state.js';
import { Strip } from './strip.js';

const SCHEMES = { green: ['#15803d', '#c81e1e', '#4ade80', '#f87171'], red: ['#c81e1e', '#15803d', '#f87171', '#4ade80'] };
const TICK_MS = 1000;

export class Shell {
  /** `name`: of the page, as its title's key has it; `slower`: how many times longer it waits between questions than the dashboard. */
  constructor(root, name, slower = 1) {
    Object.assign(this, { root, name, slower, failed: new Map() });
    root.page = this;
  }

  panel(name) { return $(`[data-panel=${name}]`, this.root); }

  async start() {
    this.theme(setting('__theme', matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'));
    setZone(setting('tz', 'utc'));
    await speak(setting('lang', 'en'));
    for (const node of this.root.querySelectorAll('[data-t]')) text(node, t(node.dataset.t));
    document.title = `${t(`page.${this.name}`)} · Alpha Arena`;
    this.strip = new Strip(this.panel('strip'));
    this.switches();
    this.links();
    await document.fonts.ready;
    this.turn = poll(() => this.read(), () => (this.strip.status?.refresh_s ?? 5) * this.slower * 1000, error => this.lost(error), () => this.found());
    setInterval(() => this.strip.tick(), TICK_MS);
    addEventListener('popstate', () => this.back());
  }

  async attempt(name, job) {
    const note = $('.stale-note', this.panel(name));
    try {
      await job();
      this.failed.delete(name);
      note.hidden = true;
    } catch (error) {
      if (error instanceof TypeError) throw error;
      if (!this.failed.has(name)) this.failed.set(name, Date.now());
      text(note, t('panel.stale', { time: time(this.failed.get(name), Date.now(), true), reason: error.message }));
      note.hidden = false;
    }
  }

  /** All that the page shows can be seen and does what it says. */
  async ready() {
    if (this.root.dataset.ready) return;
    await painted();
    this.root.dataset.ready = 'yes';
  }

  complain() {
    const note = $('[data-role=complaint]', this.root);
    const first = state.complaints[0];
    note.hidden = !first;
    if (first) text(note, t('page.complaint', { name: first[0], value: String(first[1]).slice(0, 60) }));
  }

  lost(error) {
    this.strip.lost(this.answered ?? Date.now(), error instanceof Refused ? error.message : '');
  }

  found() {
    this.strip.found();
    forget();
    this.turn();
  }

  /** The other pages, in the language, zone and theme of this one. */
  links() {
    for (const node of this.root.querySelectorAll('nav a')) node.href = node.pathname + link({}, ['lang', 'tz', '__theme']);
  }

  switches() {
    const zone = setting('tz', 'utc');
    group($('[data-switch=tz]', this.root), [['utc', t('zone.utc')], ['local', t('zone.local')]], zone, value => { store('tz', value); location.reload(); });
    group($('[data-switch=lang]', this.root), [['en', 'EN'], ['zh', '中文']], setting('lang', 'en'), value => { store('lang', value); location.reload(); });
    const toggle = $('[data-switch=theme]', this.root);
    const name = () => text(toggle, t(document.documentElement.dataset.theme === 'dark' ? 'theme.light' : 'theme.dark'));
    toggle.addEventListener('click', () => {
      const next = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
      store('__theme', next);
      this.theme(next);
      name();
      this.links();
      this.repaint();
    });
    name();
  }

  theme(name) {
    document.documentElement.dataset.theme = name;
    document.body.classList.toggle('dark', name === 'dark');
    const scheme = SCHEMES[setting('scheme', 'teal')];
    if (!scheme) return;
    const [up, down] = name === 'dark' ? scheme.slice(2) : scheme;
    document.documentElement.style.setProperty('--up', up);
    document.documentElement.style.setProperty('--down', down);
  }
}
