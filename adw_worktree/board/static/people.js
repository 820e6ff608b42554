// Users: oneself, and, for admins, all of them; with whom a feature is shared.

import { html, useEffect, useState } from "./vendor/preact.js";
import { get, patch, post, put, remove } from "./api.js";
import { live } from "./live.js";
import { Field, NewPassword, useForm } from "./login.js";
import { Action, Dialog, Foreign, Heading, Problem, useTitle } from "./parts.js";

const ROLES = [["admin", "sees and does all"], ["member", "has features of their own"],
  ["viewer", "changes nothing"], ["closed", "does not come in"]];

export function PeopleView({ home }) {
  useTitle("People");
  if (!home?.user) return html`<${Heading}>People<//><p class="none">This board has no users.</p>`;
  const { user } = home;
  return html`<${Heading}>People<//>
    <p>You are <${Foreign}>${user.address ?? "this machine"}<//>, ${user.role}.
      ${" "}<${Action} run=${leave}>Log out everywhere<//></p>
    ${user.address && html`<${Password} />`}
    ${user.role === "admin" && html`<${Invite} /><${Users} me=${user.address} />`}`;
}

async function leave() {
  live.stop(); // that its session is over is no news
  try {
    await post("/auth/logout");
  } catch (error) {
    live.connect();
    throw error;
  }
  location.assign("/login");
}

function Password() {
  const [done, setDone] = useState(false);
  const { submit, busy, failure } = useForm(async (given, form) => {
    live.stop(); // the session that it has ends, and the next one begins
    try {
      await post("/auth/password", given);
      form.reset();
      setDone(true);
    } finally {
      live.connect();
    }
  });
  return html`<h2>Change the password</h2><form class="entry" onSubmit=${submit}>
    <${Field} label="Old password" name="old" type="password" autocomplete="current-password" />
    <${NewPassword} label="New password" name="new" />
    <div class="buttons"><button aria-disabled=${busy}>Change it</button></div>
    ${done && html`<p role="status">It is changed. Your other sessions have ended.</p>`}
    <${Problem} failure=${failure} /></form>`;
}

function Invite() {
  const [link, setLink] = useState(null);
  const { submit, busy, failure } = useForm(async (given) => {
    setLink((await post("/invitations", given)).link);
  });
  return html`<h2>Invite somebody</h2><form class="entry" onSubmit=${submit}>
    <label>Role <select name="role">${ROLES.filter(([role]) => role !== "closed").map(([role, does]) =>
      html`<option key=${role} value=${role} selected=${role === "member"}>${role}: ${does}</option>`)}
      </select></label>
    <div class="buttons"><button aria-disabled=${busy}>Make a link</button></div>
    ${link && html`<p role="status">Send this link: it makes one account, within a week.
      ${" "}<code class="link">${link}</code></p>`}
    <${Problem} failure=${failure} /></form>`;
}

function Users({ me }) {
  const [users, setUsers] = useState([]);
  const [failure, setFailure] = useState(null);
  useEffect(() => { get("/users").then(setUsers, setFailure); }, []);
  const change = (user) => (event) => {
    setFailure(null);
    patch(`/users/${user.user_id}`, { role: event.target.value }).then((changed) => {
      setUsers((all) => all.map((one) => (one.user_id === changed.user_id ? changed : one)));
    }, setFailure);
  };
  return html`<h2>Users</h2><${Problem} failure=${failure} />
    <div class="scroll" tabindex="0" role="region" aria-label="Users"><table><thead><tr>
      <th scope="col">Address</th><th scope="col">Role</th><th scope="col">Password</th></tr></thead>
    <tbody>${users.map((user) => html`<tr key=${user.user_id}>
      <th scope="row"><${Foreign}>${user.address}<//></th>
      <td>${user.address === me ? user.role : html`<select aria-label=${`Role of ${user.address}`}
        value=${user.role} onChange=${change(user)}>${ROLES.map(([role]) =>
          html`<option key=${role} value=${role}>${role}</option>`)}</select>`}</td>
      <td><${Forgotten} user=${user} /></td></tr>`)}
    </tbody></table></div>`;
}

function Forgotten({ user }) {
  const [link, setLink] = useState(null);
  return link ? html`<code class="link">${link}</code>`
    : html`<${Action} aria-label=${`A link for a new password of ${user.address}`}
      run=${async () => { setLink((await post(`/users/${user.user_id}/reset`)).link); }}>New<//>`;
}

export function Share({ feature }) {
  const [asked, setAsked] = useState(false);
  return html`<button type="button" onClick=${() => setAsked(true)}>Share</button>
    ${asked && html`<${Shares} feature=${feature} close=${() => setAsked(false)} />`}`;
}

function Shares({ feature, close }) {
  const path = `/planned-features/${feature.feature_id}/shares`;
  const [shares, setShares] = useState([]);
  const [trouble, setTrouble] = useState(null);
  useEffect(() => { get(path).then(setShares, setTrouble); }, [path]);
  const { submit, busy, failure } = useForm(async (given, form) => {
    setShares(await put(path, given));
    form.reset();
  });
  return html`<${Dialog} title=${`Share ${feature.slug}`} close=${close}>
    ${shares.length === 0 ? html`<p class="none">It is shared with nobody.</p>` : html`<ul>
      ${shares.map((one) => html`<li key=${one.user_id}><${Foreign}>${one.address}<//> may
        ${" "}${one.may} it <${Action} aria-label=${`Share it with ${one.address} no more`}
          run=${async () => { setShares(await remove(`${path}/${one.user_id}`)); }}>Take back<//></li>`)}</ul>`}
    <form class="entry" onSubmit=${submit}>
      <${Field} label="Address" name="address" type="email" autocomplete="off" />
      <label>They may <select name="may"><option value="see">see it</option>
        <option value="steer">see and steer it</option></select></label>
      <div class="buttons"><button class="main" aria-disabled=${busy}>Share it</button>
        <button type="button" onClick=${close}>Close</button></div>
      <${Problem} failure=${failure ?? trouble} /></form><//>`;
}
