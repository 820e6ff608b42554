// A plan that is dropped in: it is checked at once, and can be added if nothing is wrong with it.

import { html, useRef, useState } from "./vendor/preact.js";
import { Failure, post } from "./api.js";
import { live } from "./live.js";
import { Action, Foreign, Problem } from "./parts.js";
import { baseName } from "./words.js";

const MOST_BYTES = 4 * 1024 * 1024;

export function PlanDrop({ repositories }) {
  const [over, setOver] = useState(false);
  const [plan, setPlan] = useState(null);
  const [checked, setChecked] = useState(null);
  const [failure, setFailure] = useState(null);
  const [added, setAdded] = useState(null);
  const [repository, setRepository] = useState(repositories[0] ?? "");
  const chooser = useRef(null);

  const attempt = async (work) => {
    setFailure(null);
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      setFailure(error);
    }
  };

  const take = (file) => attempt(async () => {
    setAdded(null);
    setChecked(null);
    if (file.size > MOST_BYTES) {
      throw new Failure(0, { message: `${file.name} is larger than 4 MiB`, hint: null });
    }
    const one = { name: file.name, text: await file.text() };
    setPlan(one);
    setChecked(await post("/plans/check", one));
  });

  const add = () => attempt(async () => {
    const answer = await post("/planned-features", { plan, repository });
    live.takeIn(answer);
    setAdded(answer.feature);
    setPlan(null);
    setChecked(null);
  });

  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    const [file] = event.dataTransfer.files;
    if (file) take(file);
  };

  return html`<section class=${"drop" + (over ? " over" : "")} aria-labelledby="drop-title"
      onDragOver=${(event) => { event.preventDefault(); setOver(true); }}
      onDragLeave=${() => setOver(false)} onDrop=${drop}>
    <h2 id="drop-title">Add a feature</h2>
    <${Wish} repository=${repository} done=${setAdded} />
    <p>Or drop a plan here, or <button type="button" onClick=${() => chooser.current.click()}>choose
      a file</button>
      <input ref=${chooser} type="file" accept=".md" hidden aria-label="Plan" tabindex="-1"
        onChange=${(event) => { if (event.target.files[0]) take(event.target.files[0]); event.target.value = ""; }} />
      ${repositories.length > 1 && html` for <label>repository <select value=${repository}
        onChange=${(event) => setRepository(event.target.value)}>${repositories.map((one) =>
          html`<option key=${one} value=${one}>${baseName(one)}</option>`)}</select></label>`}</p>
    <div aria-live="polite">
      <${Problem} failure=${failure} />
      ${added && html`<p>Added <a href=${`/features/${added.feature_id}`}>${added.slug}</a>. Nothing
        of it runs before you start it.</p>`}
      ${checked && html`<${Checked} plan=${plan} checked=${checked} add=${add} />`}
    </div></section>`;
}

// A feature that begins with a title: an agent drafts its plan.
function Wish({ repository, done }) {
  const [title, setTitle] = useState("");
  const [description, setDescription] = useState("");
  const add = async () => {
    const answer = await post("/planned-features", { title, description, repository });
    live.takeIn(answer);
    setTitle("");
    setDescription("");
    done(answer.feature);
  };
  return html`<form class="wish" onSubmit=${(event) => event.preventDefault()}>
    <label>Title <input value=${title} maxlength="200" onInput=${(event) => setTitle(event.target.value)} /></label>
    <label>Description <textarea rows="2" value=${description}
      onInput=${(event) => setDescription(event.target.value)}></textarea></label>
    ${title.trim() && html`<${Action} run=${add}>Add it<//>`}</form>`;
}

function Checked({ plan, checked, add }) {
  const { errors, findings } = checked;
  const verdict = errors === 0 ? "can be built" : `has ${errors} ${errors === 1 ? "error" : "errors"}`;
  return html`<p><${Foreign}>${plan.name}<//> ${verdict}${checked.slug &&
      html`: <${Foreign}>${checked.title}<//>, ${checked.phases.length} phases`}.
      ${errors === 0 && html` <button type="button" class="main" onClick=${add}>Add it</button>`}</p>
    ${findings.length > 0 && html`<ol class="findings">${findings.map((one, index) =>
      html`<li key=${index}><span class=${"level " + one.level}>${one.level}</span>
        line ${one.line}: <${Foreign}>${one.text}<//></li>`)}</ol>`}`;
}
