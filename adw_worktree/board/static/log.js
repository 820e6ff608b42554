// What a phase prints, as it comes. It follows the end unless one scrolls away from it.

import { html, useEffect, useLayoutEffect, useRef, useState } from "./vendor/preact.js";
import { get } from "./api.js";
import { live } from "./live.js";
import { readable } from "./transcript.js";
import { Foreign } from "./parts.js";

const MOST_CHARACTERS = 400000;
const PIECE_BYTES = 262144;
const NEAR_END_PX = 40;

export function Log({ phase, detail }) {
  const [parts, setParts] = useState([]);
  const box = useRef(null);
  const follows = useRef(true);
  const hasRun = detail.attempts.length > 0;
  useEffect(() => {
    if (!hasRun) return undefined;
    setParts([]);
    return live.follow(phase.name, (data) => setParts((before) => added(before, data)));
  }, [phase.name, hasRun]);
  useLayoutEffect(() => {
    if (follows.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [parts]);
  const before = parts.length > 0 && logBefore(detail, parts[0]);
  if (!hasRun) return html`<p class="none">It has not run yet.</p>`;
  const scrolled = () => {
    const { scrollTop, scrollHeight, clientHeight } = box.current;
    follows.current = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
  };
  const earlier = async () => {
    const [first] = parts;
    const range = first.start > 0
      ? `log=${first.log}&start=${Math.max(0, first.start - PIECE_BYTES)}&end=${first.start}`
      : `log=${before}`;
    const part = await get(`/queue/${phase.queue_id}/log?attempt=${first.attempt}&${range}`);
    follows.current = false;
    setParts((present) => [part, ...present]);
  };
  return html`${(parts[0]?.start > 0 || before) && html`<p><button type="button" onClick=${earlier}>Show what came
      before</button></p>`}
    <div class="log" ref=${box} onScroll=${scrolled} tabindex="0" role="log" aria-label="Log">
      ${joined(parts).map((one) => html`<section key=${one.log + one.start}><h2>${one.log.slice(3, -4)}</h2>
        <${Printed} text=${one.text} /></section>`)}
      ${parts.length === 0 && html`<p class="none">Nothing was printed yet.</p>`}</div>`;
}

// The log of the stage before the one whose beginning is shown; none if that is the first.
function logBefore(detail, first) {
  const attempt = detail.attempts.find((one) => one.token === first.attempt);
  const names = (attempt?.stages ?? []).map((one) => one.log).filter((one) => one && one < first.log);
  return names.sort().at(-1) ?? null;
}

function added(parts, data) {
  // A connection that came back begins with the end of the log, which may be here already.
  const again = parts.filter((one) => one.log === data.log && one.start >= data.start);
  let kept = again.length > 0 ? parts.filter((one) => !again.includes(one)) : parts;
  kept = [...kept, data];
  let total = kept.reduce((all, one) => all + one.text.length, 0);
  while (kept.length > 1 && total > MOST_CHARACTERS) {
    total -= kept[0].text.length;
    kept = kept.slice(1);
  }
  return kept;
}

// Neighbours of one log are one text: a line may have come in two pieces.
function joined(parts) {
  const found = [];
  for (const part of parts) {
    const last = found.at(-1);
    if (last?.log === part.log) last.text += part.text;
    else found.push({ ...part });
  }
  return found;
}

function Printed({ text }) {
  return readable(text).map((entry, index) => entry.kind === "tool"
    ? html`<details key=${index} class="tool"><summary><${Foreign}>${entry.title}<//></summary>
        <pre>${entry.text}</pre></details>`
    : html`<pre key=${index} class=${entry.kind}>${entry.text}</pre>`);
}
