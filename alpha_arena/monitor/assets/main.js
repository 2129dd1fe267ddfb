// Starts the page that the frame names, once Gradio has put it there.
import { ArenaPage } from './arena.js';
import { Dashboard } from './dashboard.js';
import { $ } from './dom.js';

const PAGES = { dashboard: Dashboard, arena: ArenaPage };

function whenMounted(go) {
  const root = $('#aa');
  if (root) return go(root);
  const watch = new MutationObserver(() => {
    const mounted = $('#aa');
    if (!mounted) return;
    watch.disconnect();
    go(mounted);
  });
  return watch.observe(document.documentElement, { childList: true, subtree: true });
}

whenMounted(root => { new PAGES[root.dataset.page](root).start(); });
