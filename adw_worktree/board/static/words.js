// Words and figures for what the API says.

export const STATES = {
  queued: "queued", ready: "ready", running: "running", review: "needs you", paused: "paused",
  completed: "completed", failed: "failed", blocked: "blocked", cancelled: "cancelled",
  added: "not started",
};

const CONCERNS = ["warn", "fail"];

export function concerns(row) {
  return CONCERNS.reduce((sum, verdict) => sum + (row.checklist?.[verdict] ?? 0), 0);
}

export function stateOf(row) {
  const found = concerns(row);
  const warned = row.status === "completed" && found
    ? ` with ${found} ${found === 1 ? "warning" : "warnings"}` : "";
  return (STATES[row.status] ?? row.status) + warned;
}

export function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function elapsed(row, now) {
  if (!row.started_at) return null;
  const end = row.ended_at ? Date.parse(row.ended_at) : now;
  return duration(end - Date.parse(row.started_at));
}

export function money(cost) {
  if (!cost || !cost.calls) return null;
  const unknown = cost.unknown ? `, ${cost.unknown} of ${cost.calls} calls at a cost unknown` : "";
  return `$${cost.usd.toFixed(2)}${unknown}`;
}

export function progress(feature) {
  const counts = feature.phases;
  const all = Object.values(counts).reduce((a, b) => a + b, 0);
  return { done: counts.completed ?? 0, all };
}

// Whether a person is needed, and why.
export function needsOf(phase) {
  if (phase.status === "review") return phase.error_message || "waits for your approval";
  if (phase.status === "failed") return phase.error_message || "failed";
  return null;
}

export function columnOf(feature) {
  const counts = feature.phases;
  if (feature.status === "completed" && feature.landing?.startsWith("failed")) return "needs";
  if (feature.status === "completed" || feature.status === "cancelled") return "done";
  if (counts.review || counts.failed) return "needs";
  if (feature.status === "running" && (counts.running || counts.ready)) return "running";
  if (feature.status === "paused" && counts.running) return "running";
  return "waiting";
}

export function baseName(path) {
  return path.split("/").filter(Boolean).pop() ?? path;
}

// Text from elsewhere may turn the direction of what stands around it: it is shown by itself.
export function short(text, most = 300) {
  const characters = [...(text ?? "")];
  return characters.length <= most ? text ?? "" : characters.slice(0, most).join("") + "…";
}
