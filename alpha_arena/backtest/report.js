// Charts are made in the light colours of the page; each is shown in the dark ones, where DARK has it, as long as the page is dark.
(() => {
  const dark = matchMedia('screen and (prefers-color-scheme: dark)');
  const shown = new Map();
  const plain = value => value !== null && Object.getPrototypeOf(value) === Object.prototype;
  const worn = value => {
    if (typeof value === 'string') return Object.hasOwn(DARK, value) ? DARK[value] : value;
    if (Array.isArray(value)) return value.map(worn);
    if (typeof value !== 'object' || !plain(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, worn(one)]));
  };
  const look = value => (dark.matches ? worn(value) : value);
  const { newPlot, react } = Plotly;
  const drawn = draw => (box, data, layout, config) => {
    shown.set(box, [data, layout, config]);
    return draw(box, look(data), look(layout), config);
  };
  Plotly.newPlot = drawn(newPlot);
  Plotly.react = drawn(react);
  const again = () => shown.forEach(([data, layout, config], box) => react(box, look(data), look(layout), config));
  dark.addEventListener('change', again);
})();
