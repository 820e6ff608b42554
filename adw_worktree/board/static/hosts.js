// The hosts that share the store: what each runs, its pool, its last word; one may be drained.

import { html, useEffect, useState } from "./vendor/preact.js";
import { get, post } from "./api.js";
import { Action, Foreign, Problem, useLive } from "./parts.js";
import { duration } from "./words.js";

export function Hosts() {
  const board = useLive();
  const [hosts, setHosts] = useState([]);
  const [failure, setFailure] = useState(null);
  const take = (found) => { setHosts(found.hosts); setFailure(null); };
  // Whoever is no admin is told so: then there is nothing to show.
  useEffect(() => {
    get("/hosts").then(take, (error) => { if (error.status !== 403) setFailure(error); });
  }, [board.seen]);
  const change = (name, what) =>
    post(`/hosts/${encodeURIComponent(name)}/${what}`).then(take);
  if (hosts.length === 0) return html`<${Problem} failure=${failure} />`;
  return html`<h2>Hosts</h2><${Problem} failure=${failure} />
    <div class="scroll" tabindex="0" role="region" aria-label="Hosts"><table><thead><tr>
      <th scope="col">Host</th><th scope="col">Status</th><th scope="col">Runs</th>
      <th scope="col">Slots</th><th scope="col">Labels</th><th scope="col">Last heard of</th>
      <th scope="col">Change</th></tr></thead>
    <tbody>${hosts.map((one) => html`<tr key=${one.name}>
      <th scope="row"><${Foreign}>${one.name}<//></th><td>${one.status}</td>
      <td>${one.phases.length === 0 ? "–" : one.phases.map((name) => html`<a key=${name}
        href=${`/phases/${name}`}>${name}</a> `)}</td>
      <td>${one.slots === null ? "–" : `${one.slots_leased} of ${one.slots}`}</td>
      <td>${one.labels.join(", ") || "–"}</td>
      <td><time datetime=${one.heard_at}>${
        duration(Date.now() - Date.parse(one.heard_at))} ago</time></td>
      <td>${one.drained
        ? html`<${Action} run=${() => change(one.name, "resume")}>Resume ${one.name}<//>`
        : html`<${Action} run=${() => change(one.name, "drain")}>Drain ${one.name}<//>`}</td>
      </tr>`)}</tbody></table></div>`;
}
