// One phase: how it goes, what it prints, what it gets, what was found, what it changed.

import { html, useEffect, useState } from "./vendor/preact.js";
import { get, post } from "./api.js";
import { live } from "./live.js";
import { Action, Elapsed, Foreign, Heading, Problem, State, useLive, useNow, useTitle } from "./parts.js";
import { Cancel } from "./feature.js";
import { Log } from "./log.js";
import { Ports } from "./slots.js";
import { duration, short } from "./words.js";

const TABS = [["log", "Log"], ["attempts", "Attempts"], ["checklist", "Checklist"],
  ["issue", "Issue"], ["diff", "Diff"], ["calls", "Calls"]];

export function PhaseView({ name, home }) {
  const board = useLive();
  const [detail, setDetail] = useState(null);
  const [failure, setFailure] = useState(null);
  const [tab, setTab] = useState("log");
  const phase = detail && board.phases.get(detail.phase.queue_id);
  // Whatever happens to the phase has an event; what it has done is looked at again then.
  const version = detail && board.lastEventOf(detail.phase.queue_id);
  useEffect(() => {
    let alive = true;
    get(`/queue/${encodeURIComponent(name)}`).then((found) => {
      if (!alive) return;
      live.takeIn(found.phase);
      setDetail(found);
    }, (error) => { if (alive) setFailure(error); });
    return () => { alive = false; };
  }, [name, version, board.snapshot]);
  useTitle(name);
  if (failure && !detail) return html`<${Heading}>No such phase<//><${Problem} failure=${failure} />`;
  if (!phase) return html`<p>Loading…</p>`;
  return html`<p class="crumbs"><a href="/">Features</a> ›
      ${" "}<a href=${`/features/${phase.feature_id}`}><${Foreign}>${short(detail.title, 120)}<//></a></p>
    <${Heading}>${phase.phase_number}. <${Foreign}>${short(phase.title, 400)}<//><//>
    <p><${State} row=${phase} /> <code>${phase.name}</code> <${Elapsed} row=${phase} />
      ${" "}<${Now} detail=${detail} />
      ${phase.issue_number && html` issue #${phase.issue_number}`}</p>
    ${phase.error_message && html`<p class="why"><${Foreign}>${short(phase.error_message, 2000)}<//></p>`}
    ${detail.worktree && html`<p><${Ports} ports=${detail.ports} />
      <span class="go">to go there: <code>adw cd ${phase.adw_id}</code></span></p>`}
    ${!home?.read_only && detail.may_steer && html`<${Steering} phase=${phase} />`}
    <div class="tabs" role="tablist" aria-label="About the phase" onKeyDown=${(event) => move(event, tab, setTab)}>
      ${TABS.map(([one, word]) => html`<button key=${one} type="button" role="tab" id=${"tab-" + one}
        aria-selected=${one === tab} aria-controls="panel" tabindex=${one === tab ? 0 : -1}
        onClick=${() => setTab(one)}>${word}</button>`)}</div>
    <div id="panel" role="tabpanel" aria-labelledby=${"tab-" + tab} tabindex="0">
      ${tab === "log" && html`<${Log} key=${lastToken(detail)} phase=${phase} detail=${detail} />`}
      ${tab === "attempts" && html`<${Attempts} detail=${detail} />`}
      ${tab === "checklist" && html`<${Checklist} items=${detail.checklist} />`}
      ${tab === "issue" && html`<${Issue} phase=${phase} />`}
      ${tab === "diff" && html`<${Diff} key=${phase.status} phase=${phase} />`}
      ${tab === "calls" && html`<${Calls} detail=${detail} />`}
    </div>`;
}

// The stage that runs, and how long it may still take.
function Now({ detail }) {
  const stage = detail.attempts.at(-1)?.stages.find((one) => one.status === "running");
  return stage ? html`<span class="now">in ${stage.name}
    ${" "}<${Remaining} stage=${stage} usual=${detail.usual_seconds[stage.name]} /></span>` : null;
}

// Only where enough stages of that name have run: nothing is made up.
function Remaining({ stage, usual }) {
  const now = useNow(stage.status === "running");
  if (stage.status !== "running" || usual === undefined) return null;
  const left = usual * 1000 - (now - Date.parse(stage.started_at));
  return html`<span class="time">${left > 0 ? `about ${duration(left)} left`
    : `longer than the usual ${duration(usual * 1000)}`}</span>`;
}

function lastToken(detail) {
  return detail.attempts.at(-1)?.token ?? "none";
}

function move(event, tab, setTab) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const index = TABS.findIndex(([one]) => one === tab);
  const [next] = TABS[(index + step + TABS.length) % TABS.length];
  setTab(next);
  document.getElementById("tab-" + next).focus();
}

function Steering({ phase }) {
  const to = (action, body) => () => post(`/queue/${phase.queue_id}/${action}`, body);
  const { status } = phase;
  return html`<div class="buttons" role="group" aria-label="Steer the phase">
    ${status === "review" && html`<${Review} phase=${phase} />`}
    ${["failed", "cancelled", "review"].includes(status) && html`<${Action} run=${to("retry")}>Retry<//>`}
    ${["queued", "ready", "running"].includes(status) && html`<${Action} run=${to("pause")}>Pause<//>`}
    ${status === "paused" && html`<${Action} run=${to("resume")}>Resume<//>`}
    ${["queued", "ready", "running", "review", "paused"].includes(status)
      && html`<${Cancel} what=${phase.name} run=${to("cancel")} />`}</div>`;
}

function Review({ phase }) {
  const [message, setMessage] = useState("");
  return html`<${Action} class="main" run=${() => post(`/queue/${phase.queue_id}/approve`)}>Approve<//>
    <form class="reject" onSubmit=${(event) => event.preventDefault()}>
      <label>What is to change <textarea rows="2" value=${message}
        onInput=${(event) => setMessage(event.target.value)}></textarea></label>
      <${Action} run=${() => post(`/queue/${phase.queue_id}/reject`, { message })}>Reject<//></form>`;
}

function Attempts({ detail }) {
  if (detail.attempts.length === 0) return html`<p class="none">It has not run yet.</p>`;
  return detail.attempts.slice().reverse().map((attempt) => html`<section key=${attempt.token}>
    <h2>Attempt ${attempt.number}: ${attempt.end_reason ?? "running"}</h2>
    <p><${Elapsed} row=${attempt} /> on <${Foreign}>${attempt.host}<//></p>
    <table><thead><tr><th scope="col">Stage</th><th scope="col">Round</th><th scope="col">State</th>
      <th scope="col">Time</th></tr></thead><tbody>${attempt.stages.map((stage) => html`<tr
        key=${stage.position}><th scope="row">${stage.name}</th><td>${stage.round}</td>
        <td>${stage.status}</td><td><${Elapsed} row=${stage} />
          ${" "}<${Remaining} stage=${stage} usual=${detail.usual_seconds[stage.name]} /></td></tr>`)}</tbody></table></section>`);
}

function Checklist({ items }) {
  if (items.length === 0) return html`<p class="none">Nothing was planned to be checked.</p>`;
  return html`<ul class="checklist">${items.map((item) => html`<li key=${item.position}>
    <span class=${"verdict " + item.verdict}>${item.verdict}</span> <strong>${item.kind}</strong>
    ${" "}<${Foreign}>${short(item.text, 1000)}<//>
    <p class="evidence"><${Foreign}>${item.evidence ?? (item.checked_by === "gate"
      ? "not looked for yet" : "for a reader")}<//>
      ${item.commit && html` <code>${item.commit.slice(0, 12)}</code>`}</p></li>`)}</ul>`;
}

function useDocument(path) {
  const [found, setFound] = useState(null);
  const [failure, setFailure] = useState(null);
  useEffect(() => { get(path).then(setFound, setFailure); }, [path]);
  return [found, failure];
}

function Issue({ phase }) {
  const [found, failure] = useDocument(`/queue/${phase.queue_id}/issue`);
  return html`<${Problem} failure=${failure} />${found && html`<p>About ${found.tokens.issue} tokens;
    the whole plan has ${found.tokens.whole_plan}.</p><pre class="text">${found.issue}</pre>`}`;
}

function Diff({ phase }) {
  const [found, failure] = useDocument(`/queue/${phase.queue_id}/diff`);
  if (failure) return html`<p class="none">${failure.message}</p>`;
  if (!found) return html`<p>Loading…</p>`;
  const kinds = { "+": "added", "-": "removed", "@": "place", d: "file" };
  return html`<pre class="diff">${found.patch.split("\n").slice(0, 20000).map((line, index) => html`<span
    key=${index} class=${kinds[line[0]] ?? ""}>${line}${"\n"}</span>`)}</pre>`;
}

function Calls({ detail }) {
  const calls = detail.attempts.flatMap((attempt) => attempt.calls.map((call) => ({ ...call, attempt })));
  if (calls.length === 0) return html`<p class="none">No agent was called.</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Calls of agents"><table>
    <thead><tr><th scope="col">Call</th><th scope="col">Agent</th><th scope="col">State</th>
      <th scope="col">Time</th><th scope="col">Tokens in</th><th scope="col">out</th>
      <th scope="col">Cost</th></tr></thead>
    <tbody>${calls.map((call) => html`<tr key=${call.attempt.token + call.number}>
      <th scope="row">${call.attempt.number}.${call.number} ${call.stage}</th>
      <td>${call.agent} <${Foreign}>${call.model ?? ""}<//></td><td>${call.status}</td>
      <td>${call.latency_ms === null ? "" : duration(call.latency_ms)}</td>
      <td>${sum(call.input_tokens, call.cached_tokens, call.cache_write_tokens)}</td>
      <td>${call.output_tokens ?? "?"}</td>
      <td>${call.cost_usd === null ? "unknown" : `$${call.cost_usd.toFixed(4)}`}</td></tr>`)}</tbody>
    </table></div>`;
}

function sum(...numbers) {
  const known = numbers.filter((one) => one !== null);
  return known.length === 0 ? "?" : known.reduce((a, b) => a + b, 0);
}
