// One feature: what it is, what it costs, and its phases as a graph and as a list.

import { html, useEffect, useState } from "./vendor/preact.js";
import { Failure, get, patch, post } from "./api.js";
import { live } from "./live.js";
import { Action, Dialog, Elapsed, Foreign, Heading, Problem, State, kept, useLive, useTitle } from "./parts.js";
import { Graph } from "./graph.js";
import { Share } from "./people.js";
import { money, progress, short } from "./words.js";

const PRIORITIES = [[10, "urgent"], [50, "normal"], [90, "background"]];

export function FeatureView({ name, home }) {
  const board = useLive();
  const [detail, setDetail] = useState(null);
  const [failure, setFailure] = useState(null);
  useEffect(() => {
    get(`/planned-features/${encodeURIComponent(name)}`).then((found) => {
      live.takeIn(found);
      setDetail(found);
    }, setFailure);
  }, [name, board.snapshot]);
  const feature = detail && board.features.get(detail.feature.feature_id);
  useTitle(feature?.title ?? name);
  if (failure) return html`<${Heading}>No such feature<//><${Problem} failure=${failure} />`;
  if (!feature) return html`<p>Loading…</p>`;
  const phases = board.phasesOf(feature);
  const { done, all } = progress(feature);
  return html`<p class="crumbs"><a href="/">Features</a></p>
    <${Heading}><${Foreign}>${short(feature.title, 400)}<//><//>
    <p><${State} row=${feature} /> <code>${feature.slug}</code> on <code>${feature.branch}</code>,
      ${" "}${done} of ${all} ${all === 1 ? "phase" : "phases"}${money(feature.cost)
        && html`, <span class="cost">${money(feature.cost)}</span>`}</p>
    <${Landing} feature=${feature} />
    ${detail.description && html`<p class="description"><${Foreign}>${short(detail.description, 2000)}<//></p>`}
    ${detail.owner && html`<p class="hint">It is <${Foreign}>${detail.owner}<//>'s.</p>`}
    ${!home?.read_only && html`<div class="buttons">
      ${detail.may_steer && html`<${Steering} feature=${feature} home=${home} />`}
      ${isOwn(detail, home) && html`<${Share} feature=${feature} />`}</div>`}
    <h2>Phases</h2>
    ${phases.length > 0 ? html`<${Graph} phases=${phases} /><${PhaseTable} phases=${phases} />`
      : html`<${Drafting} feature=${feature} />`}`;
}

function isOwn(detail, home) {
  const user = home?.user;
  return Boolean(user) && (user.role === "admin" || user.address === detail.owner);
}

function Drafting({ feature }) {
  if (feature.drafting === "running") return html`<p role="status">An agent drafts the plan…</p>`;
  if (feature.drafting) return html`<p class="problem"><${Foreign}>Drafting has ${feature.drafting}<//></p>`;
  return html`<p class="none">It has no plan yet.</p>`;
}

function Landing({ feature }) {
  const lines = [];
  if (feature.landing?.startsWith("https://")) {
    lines.push(html`pull request: <a href=${feature.landing} rel="noreferrer">${feature.landing}</a>`);
  } else if (feature.landing === "landed") {
    lines.push("It has landed.");
  } else if (feature.landing) {
    lines.push(html`landing: <${Foreign}>${feature.landing}<//>`);
  }
  if (feature.verified) lines.push(html`verify: <${Foreign}>${feature.verified}<//>`);
  return lines.map((line, index) => html`<p key=${index}>${line}</p>`);
}

function Steering({ feature, home }) {
  const to = (action) => () => post(`/planned-features/${feature.feature_id}/${action}`);
  const { status, phases } = feature;
  const isOver = status === "completed" || status === "cancelled";
  return html`<div class="buttons" role="group" aria-label="Steer the feature">
    ${status === "added" && (Object.keys(phases).length > 0 ? html`<${Start} feature=${feature} home=${home} />`
      : feature.drafting !== "running" && html`<${Action} class="main"
        run=${to("generate-implementation")}>Draft a plan<//>`)}
    ${status === "running" && html`<${Action} run=${to("pause")}>Pause<//>`}
    ${status === "paused" && html`<${Action} run=${to("resume")}>Resume<//>`}
    ${!isOver && phases.failed > 0 && html`<${Action} run=${to("retry")}>Retry what failed<//>`}
    ${!isOver && html`<${Cancel} what=${feature.slug} run=${to("cancel")} />`}
    ${!isOver && html`<${Priority} feature=${feature} />`}</div>`;
}

function Start({ feature, home }) {
  const [asks, setAsks] = useState(null);
  const start = async (approve) => {
    try {
      const answer = await post(`/planned-features/${feature.feature_id}/execute`, { approve });
      setAsks(null);
      return answer;
    } catch (error) {
      if (!(error instanceof Failure) || !error.document?.digest) throw error;
      setAsks(error.document);
      return null;
    }
  };
  return html`<${Action} run=${() => start(null)} class="main">Start<//>
    ${asks && html`<${Dialog} title=${`${feature.slug} asks to run`} close=${() => setAsks(null)}>
      <pre class="asks">${asks.asks.join("\n")}</pre>
      <p>${home?.user ? "It runs as whoever runs the board, on its machine."
        : "It runs as you, on this machine."}</p>
      <div class="buttons"><${Action} run=${() => start(asks.digest)} class="main">Approve and start<//>
        <button type="button" onClick=${() => setAsks(null)}>Not now</button></div><//>`}`;
}

export function Cancel({ what, run }) {
  const [asked, setAsked] = useState(false);
  return html`<button type="button" class="danger" onClick=${() => setAsked(true)}>Cancel</button>
    ${asked && html`<${Dialog} title=${`Cancel ${what}?`} close=${() => setAsked(false)}>
      <p>What runs of it is ended. What was committed stays on its branches.</p>
      <div class="buttons"><${Action} danger run=${async () => {
        const answer = await run();
        setAsked(false);
        return answer;
      }}>Cancel ${what}<//>
      <button type="button" onClick=${() => setAsked(false)}>Keep it</button></div><//>`}`;
}

function Priority({ feature }) {
  const [failure, setFailure] = useState(null);
  const known = PRIORITIES.some(([number]) => number === feature.priority);
  const change = (event) => {
    setFailure(null);
    patch(`/planned-features/${feature.feature_id}`, { priority: Number(event.target.value) })
      .then((answer) => live.takeIn(answer), setFailure);
  };
  return html`<label>Priority <select value=${feature.priority} onChange=${change}>
    ${!known && html`<option value=${feature.priority}>${feature.priority}</option>`}
    ${PRIORITIES.map(([number, word]) => html`<option key=${number} value=${number}>${word}</option>`)}
    </select></label><${Problem} failure=${failure} />`;
}

function PhaseTable({ phases }) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="List of phases"><table>
    <thead><tr><th scope="col">Phase</th><th scope="col">State</th><th scope="col">After</th>
      <th scope="col">Time</th><th scope="col">Why</th></tr></thead>
    <tbody>${phases.map((phase) => html`<${Row} key=${phase.queue_id} phase=${phase} />`)}</tbody>
    </table></div>`;
}

const Row = kept(({ phase }) => html`<tr>
      <th scope="row"><a href=${`/phases/${encodeURIComponent(phase.name)}`}>${phase.name}</a>
        ${" "}<${Foreign}>${short(phase.title, 200)}<//></th>
      <td><${State} row=${phase} /></td>
      <td>${phase.depends_on_phases.join(", ") || "–"}</td>
      <td><${Elapsed} row=${phase} /></td>
      <td><${Foreign}>${why(phase)}<//></td></tr>`);

function why(phase) {
  if (phase.blocked_by) return `blocked by ${phase.blocked_by}`;
  if (phase.awaits_slot) return "waits for a free slot";
  return short(phase.error_message, 200);
}
