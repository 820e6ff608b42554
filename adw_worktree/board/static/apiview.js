// The API, as the server describes it.

import { html, useEffect, useState } from "./vendor/preact.js";
import { Heading, useTitle } from "./parts.js";

const METHODS = ["get", "post", "put", "patch", "delete"];

export function ApiView() {
  const [api, setApi] = useState(null);
  useTitle("API");
  useEffect(() => {
    fetch("/openapi.json").then((answer) => answer.json()).then(setApi, () => {});
  }, []);
  return html`<${Heading}>API<//>
    <p>Programs send <code>Authorization: Bearer TOKEN</code>, with the token that
      ${" "}<code>adw-worktree board token</code> prints. The whole description is
      ${" "}<a href="/openapi.json" target="_blank">OpenAPI</a>.</p>
    ${api && Object.entries(api.paths).map(([path, routes]) => METHODS.filter((one) => routes[one])
      .map((method) => html`<${Route} key=${method + path} path=${path} method=${method}
        route=${routes[method]} />`))}`;
}

function Route({ path, method, route }) {
  return html`<section class="route"><h2><code>${method.toUpperCase()} ${path}</code></h2>
    <p>${route.description}</p>
    ${route.parameters?.length > 0 && html`<ul>${route.parameters.map((one) =>
      html`<li key=${one.name}><code>${one.name}</code> in ${one.in}${one.required ? "" : ", optional"}</li>`)}</ul>`}
    </section>`;
}
