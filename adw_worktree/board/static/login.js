// Coming in, on a board that has users: logging in, and making an account with an invitation.

import { html, useState } from "./vendor/preact.js";
import { Failure, post } from "./api.js";
import { Heading, Problem, useTitle } from "./parts.js";

const SHORTEST_PASSWORD = 12;

// Only a view of this page, whatever the address says.
function wanted() {
  const next = new URLSearchParams(location.search).get("next") ?? "/";
  try {
    const to = new URL(next, location.origin);
    const isView = to.origin === location.origin && !/^\/(\/|login$)/.test(to.pathname);
    return isView ? to.pathname : "/";
  } catch {
    return "/";
  }
}

export function useForm(send) {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    if (busy) return;
    const form = event.target;
    setBusy(true);
    setFailure(null);
    try {
      await send(Object.fromEntries(new FormData(form)), form);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      setFailure(error);
    } finally {
      setBusy(false);
    }
  };
  return { submit, busy, failure };
}

export function Field({ label, ...rest }) {
  return html`<label class="field">${label} <input required ...${rest} /></label>`;
}

export function NewPassword({ label, name }) {
  return html`<${Field} label=${label} name=${name} type="password" autocomplete="new-password"
    minlength=${SHORTEST_PASSWORD} maxlength="256" />
    <p class="hint">At least ${SHORTEST_PASSWORD} characters; some words in a row do.</p>`;
}

export function LoginView() {
  useTitle("Log in");
  const { submit, busy, failure } = useForm(async (given) => {
    await post("/auth/login", given);
    location.assign(wanted());
  });
  return html`<${Heading}>Log in<//><form class="entry" onSubmit=${submit}>
    <${Field} label="Address" name="address" type="email" autocomplete="username" />
    <${Field} label="Password" name="password" type="password" autocomplete="current-password" />
    <div class="buttons"><button class="main" aria-disabled=${busy}>Log in</button></div>
    <${Problem} failure=${failure} /></form>`;
}

export function RegisterView() {
  useTitle("Register");
  const invitation = new URLSearchParams(location.search).get("invitation") ?? undefined;
  const { submit, busy, failure } = useForm(async (given) => {
    await post("/auth/register", { ...given, invitation });
    location.assign("/");
  });
  return html`<${Heading}>Make an account<//><form class="entry" onSubmit=${submit}>
    <${Field} label="Address" name="address" type="email" autocomplete="username" />
    <${NewPassword} label="Password" name="password" />
    <div class="buttons"><button class="main" aria-disabled=${busy}>Register</button></div>
    <${Problem} failure=${failure} /></form>
    <p><a href="/login">I have an account</a></p>`;
}
