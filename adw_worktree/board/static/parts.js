// Small parts that several views have.

import { Component, h, html, useEffect, useRef, useState } from "./vendor/preact.js";
import { Failure } from "./api.js";
import { live } from "./live.js";
import { STATES, elapsed, stateOf } from "./words.js";

export function useLive() {
  const [, redraw] = useState(0);
  useEffect(() => live.listen(() => redraw((n) => n + 1)), []);
  return live;
}

export function useTitle(title) {
  useEffect(() => { document.title = `${title} · adw-worktree`; }, [title]);
}

export function useNow(running) {
  const [now, set] = useState(Date.now());
  useEffect(() => {
    if (!running) return undefined;
    const timer = setInterval(() => set(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [running]);
  return now;
}

// A part that is drawn anew only if what it shows is another: among hundreds, one changes.
export function kept(view) {
  return class extends Component {
    shouldComponentUpdate(next) {
      return Object.keys(next).some((name) => next[name] !== this.props[name]);
    }

    render(props) {
      return h(view, props);
    }
  };
}

export function State({ row }) {
  const word = row.status in STATES ? row.status : "other";
  return html`<span class=${"state " + word}>${stateOf(row)}</span>`;
}

export function Elapsed({ row }) {
  const now = useNow(Boolean(row.started_at) && !row.ended_at);
  const text = elapsed(row, now);
  return text === null ? null : html`<span class="time">${text}</span>`;
}

// Text that somebody else wrote: it is never markup, and turns nothing around.
export function Foreign({ children, ...rest }) {
  return html`<bdi ...${rest}>${children}</bdi>`;
}

export function Problem({ failure }) {
  if (!failure) return null;
  return html`<p class="problem" role="alert"><strong>${failure.message}</strong>
    ${failure.hint ? html` <span class="hint">${failure.hint}</span>` : null}</p>`;
}

// A button that does something on the server, once at a time, and says what went wrong.
export function Action({ run, children, danger, ...rest }) {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState(null);
  const alive = useRef(true);
  useEffect(() => () => { alive.current = false; }, []);
  const press = async () => {
    if (busy) return;
    setBusy(true);
    setFailure(null);
    try {
      const answer = await run();
      if (answer) live.takeIn(answer);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (alive.current) setFailure(error);
    } finally {
      if (alive.current) setBusy(false);
    }
  };
  return html`<span class="action"><button type="button" class=${danger ? "danger" : ""}
    aria-disabled=${busy} onClick=${press} ...${rest}>${children}</button>
    <${Problem} failure=${failure} /></span>`;
}

// A question that has to be answered before anything else.
export function Dialog({ title, children, close }) {
  const box = useRef(null);
  useEffect(() => {
    const before = document.activeElement;
    box.current.showModal();
    return () => before?.focus?.();
  }, []);
  return html`<dialog ref=${box} aria-labelledby="dialog-title" onClose=${close}
    onCancel=${close}><h2 id="dialog-title">${title}</h2>${children}</dialog>`;
}

let isFirstView = true;

export function Heading({ children }) {
  const place = useRef(null);
  // Who goes to another view by keyboard or by ear begins at its title.
  useEffect(() => {
    if (!isFirstView) place.current.focus();
    isFirstView = false;
  }, []);
  return html`<h1 ref=${place} tabindex="-1">${children}</h1>`;
}
