// All features: first of all what needs a person, then four columns.

import { html } from "./vendor/preact.js";
import { post } from "./api.js";
import { Action, Foreign, Heading, State, kept, useLive, useTitle } from "./parts.js";
import { PlanDrop } from "./plan.js";
import { baseName, columnOf, money, needsOf, progress, short } from "./words.js";

const COLUMNS = [
  ["waiting", "Waiting"], ["running", "Running"], ["needs", "Needs you"], ["done", "Done"],
];

export function FeaturesView({ home }) {
  const board = useLive();
  useTitle("Features");
  const features = [...board.features.values()].sort((a, b) => b.feature_id - a.feature_id);
  const needing = [...board.phases.values()].filter((one) => needsOf(one) !== null
    && board.features.get(one.feature_id)?.status !== "cancelled");
  return html`<${Heading}>Features<//>
    ${needing.length > 0 && html`<section aria-labelledby="needs"><h2 id="needs">Needs you</h2>
      <ul class="needs">${needing.map((phase) => html`<${Need} key=${phase.queue_id}
        phase=${phase} home=${home} />`)}</ul></section>`}
    <div class="columns">${COLUMNS.map(([name, title]) => {
      const here = features.filter((one) => columnOf(one) === name);
      return html`<section key=${name} class="column" aria-labelledby=${"column-" + name}>
        <h2 id=${"column-" + name}>${title} <span class="count">${here.length}</span></h2>
        ${here.length === 0 ? html`<p class="none">None</p>` : html`<ul>${here.map((one) =>
          html`<${Card} key=${one.feature_id} feature=${one} />`)}</ul>`}</section>`;
    })}</div>
    ${home && !home.read_only && html`<${PlanDrop} repositories=${home.repositories} />`}`;
}

function Need({ phase, home }) {
  return html`<li><a href=${`/phases/${encodeURIComponent(phase.name)}`}>${phase.name}</a>
    <${State} row=${phase} /> <${Foreign} class="title">${short(phase.title, 120)}<//>
    <${Foreign} class="why">${short(needsOf(phase), 200)}<//>
    ${phase.status === "failed" && !home?.read_only && (home?.user?.role ?? "admin") === "admin" && html`<${Action}
      run=${() => post(`/queue/${phase.queue_id}/retry`)}>Retry ${phase.name}<//>`}</li>`;
}

const Card = kept(({ feature }) => {
  const { done, all } = progress(feature);
  const cost = money(feature.cost);
  return html`<li class="card"><h3><a href=${`/features/${feature.feature_id}`}>
    <${Foreign}>${short(feature.title, 160)}<//></a></h3>
    <p><code>${feature.slug}</code> in <${Foreign}>${baseName(feature.repository)}<//></p>
    <p><progress max=${all || 1} value=${done} aria-label=${`Phases of ${feature.slug}`}></progress>
      ${" "}${done} of ${all} ${all === 1 ? "phase" : "phases"}</p>
    <p><${State} row=${feature} />${cost && html` <span class="cost">${cost}</span>`}</p></li>`;
});
