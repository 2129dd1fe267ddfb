// Reads from the API: ETags, one poll loop, and what happens while nobody answers.
const seen = new Map();
const RETRY_MS = [5000, 10000, 30000];
const PATIENCE_MS = 8000;

export class Refused extends Error {}

/** The answer, or null where nothing changed since the last one of this address. */
export async function get(path, params = {}, fresh = false) {
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== ''));
  const address = `${path}?${query}`;
  const headers = !fresh && seen.has(address) ? { 'If-None-Match': seen.get(address) } : {};
  const answer = await fetch(address, { headers, cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS) });
  if (answer.status === 304) return null;
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    throw new Refused(said.error ?? `HTTP ${answer.status}`);
  }
  const body = await answer.json();
  const tag = answer.headers.get('ETag');
  if (tag) seen.set(address, tag);
  return body;
}

/** Forget what was seen, so that the next answer is whole. */
export const forget = () => seen.clear();

/** Call `read` again and again: every `everyMs()`, slower while it fails, not at all while the tab is hidden. */
export function poll(read, everyMs, onDown, onUp) {
  let failures = 0;
  let timer = 0;
  let running = false;
  let again = false;
  async function turn() {
    clearTimeout(timer);
    again = true;
    if (running || document.hidden) return;
    running = true;
    // a turn that is asked for while one is under way follows it: what that one reads may be older than what it was asked for
    while (again && !document.hidden) {
      again = false;
      try {
        await read();
        if (failures) onUp();
        failures = 0;
      } catch (error) {
        failures += 1;
        onDown(error, failures);
      }
    }
    running = false;
    timer = setTimeout(turn, failures ? RETRY_MS[Math.min(failures, RETRY_MS.length) - 1] : everyMs());
  }
  document.addEventListener('visibilitychange', turn);
  turn();
  return turn;
}
