// The place of what the agents' work tells: pictures and patterns.

import { html } from "./vendor/preact.js";
import { Heading, useLive, useTitle } from "./parts.js";

export function InsightView() {
  const board = useLive();
  useTitle("Insight");
  const costs = [...board.features.values()].filter((one) => one.cost.calls > 0)
    .sort((a, b) => b.cost.usd - a.cost.usd);
  return html`<${Heading}>Insight<//>
    ${costs.length === 0 ? html`<p class="none">No agent was called yet.</p>`
      : html`<table><caption>What agents have cost</caption>
        <thead><tr><th scope="col">Feature</th><th scope="col">Calls</th><th scope="col">Cost</th></tr></thead>
        <tbody>${costs.map((one) => html`<tr key=${one.feature_id}>
          <th scope="row"><a href=${`/features/${one.feature_id}`}>${one.slug}</a></th>
          <td>${one.cost.calls}</td><td>$${one.cost.usd.toFixed(4)}${one.cost.unknown
            ? `, and ${one.cost.unknown} at a cost unknown` : ""}</td></tr>`)}</tbody></table>`}`;
}
