// The pool's map: who holds what, and who listens.

import { html, useEffect, useRef, useState } from "./vendor/preact.js";
import { get } from "./api.js";
import { Hosts } from "./hosts.js";
import { Foreign, Heading, Problem, useLive, useTitle } from "./parts.js";
import { baseName } from "./words.js";

// Ports are this machine's own: elsewhere, they would lead to something else.
const IS_HERE = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
const PAUSE_MS = 500; // however much happens

export function SlotsView() {
  const board = useLive();
  const [pool, setPool] = useState(null);
  const [failure, setFailure] = useState(null);
  const look = () => get("/slots").then((found) => { setPool(found); setFailure(null); }, setFailure);
  const timer = useRef(null);
  // Slots come and go with phases: they are looked at again when something happened.
  useEffect(() => {
    timer.current ??= setTimeout(() => { timer.current = null; look(); }, pool ? PAUSE_MS : 0);
  }, [board.seen]);
  useEffect(() => () => clearTimeout(timer.current), []);
  useTitle("Slots");
  return html`<${Heading}>Slots<//><${Problem} failure=${failure} />
    ${pool && html`<p>${pool.allocated} of ${pool.total} slots leased, ${pool.available} free.
      ${" "}<button type="button" onClick=${look}>Look again</button></p>
      <${Map} pool=${pool} /><${Held} pool=${pool} />`}<${Hosts} />`;
}

function Map({ pool }) {
  const held = new globalThis.Map(pool.held.map((one) => [one.slot, one]));
  const others = new Set(pool.others);
  const blocked = new Set(pool.blocked.map((one) => one.slot));
  const slots = [...Array(pool.total).keys()];
  return html`<div class="map" role="img" aria-label=${`${pool.allocated} of ${pool.total} slots`}>
    ${slots.map((slot) => {
      const one = held.get(slot);
      const kind = one ? (one.listening.length ? "listening" : "held") : blocked.has(slot)
        ? "blocked" : others.has(slot) ? "held" : "free";
      return html`<span key=${slot} class=${"slot " + kind} title=${one ? `${slot}: ${one.adw_id}`
        : `${slot}: ${kind}`}>${slot}</span>`;
    })}</div>
    <p class="legend"><span class="slot held">n</span> leased,
      ${" "}<span class="slot listening">n</span> somebody listens,
      ${" "}<span class="slot blocked">n</span> its port is somebody else's,
      ${" "}<span class="slot free">n</span> free</p>`;
}

function Held({ pool }) {
  if (pool.held.length === 0) return html`<p class="none">No slot is leased.</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Leases"><table><thead><tr>
    <th scope="col">Slot</th><th scope="col">ADW</th><th scope="col">Repository</th>
    <th scope="col">State</th><th scope="col">Ports</th></tr></thead>
    <tbody>${pool.held.map((one) => html`<tr key=${one.slot}><td>${one.slot}</td>
      <th scope="row"><${Foreign}>${one.adw_id}<//></th>
      <td><${Foreign}>${baseName(one.repository)}<//></td><td>${one.state}</td>
      <td><${Ports} ports=${one.ports} listening=${one.listening} /></td></tr>`)}</tbody>
    </table></div>`;
}

export function Ports({ ports, listening }) {
  return Object.entries(ports).map(([service, port]) => html`<span key=${service} class="port">
    ${service} ${IS_HERE ? html`<a href=${`http://localhost:${port}/`} rel="noreferrer"
      target="_blank">${port}</a>` : port}
    ${listening?.includes(port) ? " (listening)" : ""}</span>`);
}
