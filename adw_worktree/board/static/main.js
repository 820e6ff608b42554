// The page: its frame, and which view the address stands for.

import { html, render, useEffect, useState } from "./vendor/preact.js";
import { get } from "./api.js";
import { live } from "./live.js";
import { useLive } from "./parts.js";
import { FeaturesView } from "./features.js";
import { FeatureView } from "./feature.js";
import { PhaseView } from "./phase.js";
import { SlotsView } from "./slots.js";
import { InsightView } from "./insight.js";
import { ApiView } from "./apiview.js";
import { LoginView, RegisterView } from "./login.js";
import { PeopleView } from "./people.js";

const VIEWS = [
  [/^\/$/, FeaturesView, "Features"],
  [/^\/features\/([^/]+)$/, FeatureView, "Features"],
  [/^\/phases\/([^/]+)$/, PhaseView, "Features"],
  [/^\/slots$/, SlotsView, "Slots"],
  [/^\/insight$/, InsightView, "Insight"],
  [/^\/people$/, PeopleView, "People"],
  [/^\/docs$/, ApiView, "API"],
];
const MENU = [["/", "Features"], ["/slots", "Slots"], ["/insight", "Insight"], ["/docs", "API"]];
const PEOPLE = [["/people", "People"]];
// They are there for who has no key yet, so that nothing else can be shown.
const ENTRIES = { "/login": LoginView, "/register": RegisterView };

function useAddress() {
  const [address, set] = useState(location.pathname);
  useEffect(() => {
    const moved = () => set(location.pathname);
    const followed = (event) => {
      const link = event.target.closest?.("a[href]");
      const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey;
      if (!link || !plain || link.target || event.defaultPrevented) return;
      const to = new URL(link.getAttribute("href"), location.href);
      if (to.origin !== location.origin || !VIEWS.some(([path]) => path.test(to.pathname))) return;
      event.preventDefault();
      history.pushState(null, "", to);
      moved();
      window.scrollTo(0, 0);
    };
    window.addEventListener("popstate", moved);
    document.addEventListener("click", followed);
    return () => {
      window.removeEventListener("popstate", moved);
      document.removeEventListener("click", followed);
    };
  }, []);
  return address;
}

function Board() {
  const board = useLive();
  const address = useAddress();
  const [home, setHome] = useState(null);
  useEffect(() => { get("/home").then(setHome, () => {}); }, []);
  const [path, View, area] = VIEWS.find(([one]) => one.test(address)) ?? VIEWS[0];
  const name = decodeURIComponent(path.exec(address)?.[1] ?? "");
  return html`
    <a class="skip" href="#main">Skip to the content</a>
    <header><span class="brand">adw-worktree</span>
      <nav aria-label="Views">${[...MENU, ...(home?.user ? PEOPLE : [])].map(([to, word]) => html`<a key=${to} href=${to}
        aria-current=${word === area ? "page" : undefined}>${word}</a>`)}</nav>
      <span class=${"connection " + (board.connected ? "live" : "cut")} role="status">
        ${board.connected ? "live" : board.ready ? "connecting again…" : "connecting…"}</span>
    </header>
    <main id="main" tabindex="-1">
      ${board.ready ? html`<${View} key=${address} name=${name} home=${home} />`
        : html`<p>Loading…</p>`}
    </main>`;
}

function Entry({ view }) {
  return html`<header><span class="brand">adw-worktree</span></header>
    <main id="main" tabindex="-1"><${view} /></main>`;
}

const entry = ENTRIES[location.pathname];
const place = document.getElementById("board");
place.textContent = "";
if (!entry) live.start();
render(entry ? html`<${Entry} view=${entry} />` : html`<${Board} />`, place);
