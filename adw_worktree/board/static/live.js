// What the board knows, kept up to date by its WebSocket. A connection that was cut comes back by
// itself, and asks for what came after the last event that was seen.

import { get } from "./api.js";

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 10000;
const SESSION_OVER = 4401;

export class Live {
  constructor() {
    this.features = new Map();
    this.phases = new Map();
    this.events = new Map();
    this.snapshot = null;
    this.seen = null;
    this.connected = false;
    this.ready = false;
    this.listeners = new Set();
    this.logs = new Map();
    this.wait = FIRST_WAIT_MS;
    this.due = false;
  }

  start() {
    this.connect();
    // A browser that slept does not wait for the clock.
    window.addEventListener("online", () => this.reconnect());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.reconnect();
    });
  }

  stop() {
    const socket = this.socket;
    this.socket = null;
    socket.close();
  }

  reconnect() {
    if (this.socket === null || this.connected || this.socket.readyState === WebSocket.CONNECTING) return;
    clearTimeout(this.timer);
    this.connect();
  }

  connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const query = this.seen === null ? "" : `?seen=${this.seen}`;
    const socket = new WebSocket(`${scheme}://${location.host}/ws/queue${query}`);
    this.socket = socket;
    socket.onopen = () => {
      this.wait = FIRST_WAIT_MS;
      this.connected = true;
      for (const name of this.logs.keys()) this.ask("subscribe", name);
      this.changed();
    };
    socket.onmessage = (event) => this.take(JSON.parse(event.data));
    let opened = false;
    socket.addEventListener("open", () => { opened = true; });
    socket.onclose = (event) => {
      if (this.socket !== socket) return;
      this.connected = false;
      // Why it was refused, a browser does not tell: an answer to a request does, if it is that.
      if (event.code === SESSION_OVER || !opened) get("/home").catch(() => {});
      this.timer = setTimeout(() => this.connect(), this.wait);
      this.wait = Math.min(this.wait * 2, LONGEST_WAIT_MS);
      this.changed();
    };
  }

  take(message) {
    const { type, id, data } = message;
    if (type === "log") {
      for (const hear of this.logs.get(data.name) ?? []) hear(data);
      return;
    }
    // What came before a snapshot may arrive after it.
    if (type === "error" || (type !== "snapshot" && this.seen !== null && id <= this.seen)) return;
    if (type === "snapshot") {
      this.features = new Map(data.features.map((one) => [one.feature_id, one]));
      this.phases = new Map(data.phases.map((one) => [one.queue_id, one]));
      this.events.clear();
      this.snapshot = id;
      this.ready = true;
    } else {
      if (data.feature) this.features.set(data.feature.feature_id, data.feature);
      if (data.phase) {
        this.phases.set(data.phase.queue_id, data.phase);
        this.events.set(data.phase.queue_id, id);
      }
    }
    this.seen = Math.max(this.seen ?? 0, id);
    this.changed();
  }

  // Many messages at once are one change of the page.
  changed() {
    if (this.due) return;
    this.due = true;
    queueMicrotask(() => {
      this.due = false;
      for (const hear of this.listeners) hear();
    });
  }

  listen(hear) {
    this.listeners.add(hear);
    return () => this.listeners.delete(hear);
  }

  follow(name, hear) {
    const hearers = this.logs.get(name) ?? new Set();
    hearers.add(hear);
    this.logs.set(name, hearers);
    if (this.connected) this.ask("subscribe", name);
    return () => {
      hearers.delete(hear);
      if (hearers.size > 0) return;
      this.logs.delete(name);
      if (this.connected) this.ask("unsubscribe", name);
    };
  }

  ask(type, log) {
    this.socket.send(JSON.stringify({ type, log }));
  }

  takeIn(document) {
    // What an answer says is as new as a message, and comes earlier.
    if (document.feature?.feature_id) this.features.set(document.feature.feature_id, document.feature);
    for (const phase of document.phases ?? []) this.phases.set(phase.queue_id, phase);
    if (document.queue_id) this.phases.set(document.queue_id, document);
    this.changed();
  }

  // The id of what happened to a phase last, as far as it is known here.
  lastEventOf(queueId) {
    return this.events.get(queueId) ?? this.snapshot;
  }

  phasesOf(feature) {
    return [...this.phases.values()]
      .filter((one) => one.feature_id === feature.feature_id)
      .sort((a, b) => a.phase_number - b.phase_number);
  }
}

export const live = new Live();
