// Small hands for the page's elements. Text goes in by textContent only; what has not changed is not written.
export const $ = (selector, root = document) => root.querySelector(selector);

export function text(node, value) {
  if (node && node.textContent !== value) node.textContent = value;
}

export function look(node, name) {
  if (node && node.className !== name) node.className = name;
}

/** An element with a class, text and children. */
export function el(tag, name = '', content = '', ...children) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (content !== '') node.textContent = content;
  node.append(...children);
  return node;
}

/** Keep `parent`'s children equal to `items` by key: new ones are made, old ones updated in place, none rewritten. */
export function keep(parent, items, keyOf, make, update) {
  const have = new Map([...parent.children].map(node => [node.dataset.key, node]));
  let before = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let node = have.get(key);
    have.delete(key);
    if (!node) {
      node = make(item);
      node.dataset.key = key;
    }
    if (node === before) before = before.nextElementSibling;
    else parent.insertBefore(node, before);
    update(node, item);
  }
  for (const node of have.values()) node.remove();
}

/** Buttons of which one is pressed. */
export function group(node, choices, chosen, onChange) {
  const press = value => {
    for (const button of node.children) button.setAttribute('aria-pressed', String(button.dataset.value === value));
  };
  node.replaceChildren(...choices.map(([value, label]) => {
    const button = el('button', '', label);
    button.type = 'button';
    button.dataset.value = value;
    button.addEventListener('click', () => { press(value); onChange(value); });
    return button;
  }));
  press(chosen);
  return press;
}

/** Once what was just drawn can be seen: charts paint with the next frame, and once more where their box has found its size. */
export async function painted() {
  for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame);
}

export const colour = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
