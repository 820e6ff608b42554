// A feature's phases, drawn from what they depend on: left to right, a column for each depth.

import { html } from "./vendor/preact.js";
import { kept } from "./parts.js";
import { stateOf, short } from "./words.js";

const WIDTH = 190;
const HEIGHT = 54;
const GAP_X = 56;
const GAP_Y = 16;

function columnsOf(phases) {
  const by_number = new Map(phases.map((one) => [one.phase_number, one]));
  const depths = new Map();
  // In the order of what waits for what; no phase waits for itself, however far around.
  const waiting = [...phases];
  while (waiting.length > 0) {
    const before = waiting.length;
    for (let index = waiting.length - 1; index >= 0; index -= 1) {
      const needs = waiting[index].depends_on_phases.filter((one) => by_number.has(one));
      if (!needs.every((one) => depths.has(one))) continue;
      depths.set(waiting[index].phase_number, Math.max(-1, ...needs.map((one) => depths.get(one))) + 1);
      waiting.splice(index, 1);
    }
    if (waiting.length === before) break;
  }
  const columns = [];
  for (const phase of phases) {
    const depth = depths.get(phase.phase_number) ?? 0;
    (columns[depth] ??= []).push(phase);
  }
  return columns;
}

export function Graph({ phases }) {
  const columns = columnsOf(phases);
  const places = new Map();
  columns.forEach((column, x) => column.forEach((phase, y) => {
    places.set(phase.phase_number, { x: x * (WIDTH + GAP_X) + 2, y: y * (HEIGHT + GAP_Y) + 2 });
  }));
  const width = Math.max(1, columns.length) * (WIDTH + GAP_X) - GAP_X + 4;
  const height = Math.max(1, ...columns.map((one) => one.length)) * (HEIGHT + GAP_Y) - GAP_Y + 4;
  return html`<div class="graph" tabindex="0" role="region" aria-label="Phases and what they wait for">
    <svg width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`}>
      <${Edges} path=${phases.map((phase) => edges(phase, places)).join("")} />
      ${phases.map((phase) => {
        const { x, y } = places.get(phase.phase_number);
        return html`<${Node} key=${phase.queue_id} phase=${phase} x=${x} y=${y} />`;
      })}
    </svg></div>`;
}

const Edges = kept(({ path }) => html`<path aria-hidden="true" class="edge" d=${path} />`);

function edges(phase, places) {
  return phase.depends_on_phases.filter((need) => places.has(need))
    .map((need) => edge(places.get(need), places.get(phase.phase_number))).join("");
}

function edge(from, to) {
  const [x1, y1] = [from.x + WIDTH, from.y + HEIGHT / 2];
  const [x2, y2] = [to.x, to.y + HEIGHT / 2];
  const middle = (x1 + x2) / 2;
  return `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`;
}

const Node = kept(({ phase, x, y }) => {
  const title = `${phase.phase_number}. ${short(phase.title, 60)}`;
  return html`<a href=${`/phases/${phase.name}`} class=${`node ${phase.status}`}
    aria-label=${`${title}: ${stateOf(phase)}`}>
    <rect x=${x} y=${y} width=${WIDTH} height=${HEIGHT} rx="8" />
    <text x=${x + 10} y=${y + 22} class="name">${short(title, 24)}</text>
    <text x=${x + 10} y=${y + 41} class="what">${short(stateOf(phase), 26)}</text>
    <title>${title}</title></a>`;
});
