// What agents print, read as text: their programs print a JSON object a line. What is none of that
// is shown as it is.

const MOST_CHARACTERS = 20000;

// Entries have a kind (`plain`, `text`, `thought`, `tool`, `note`), a text, and tools a title.
export function readable(text) {
  const entries = [];
  const plain = [];
  const flush = () => {
    if (plain.length > 0) entries.push({ kind: "plain", text: plain.splice(0).join("\n") });
  };
  for (const line of text.split("\n")) {
    const found = line.startsWith("{") ? entriesOf(line) : null;
    if (found === null) {
      plain.push(printable(line));
    } else {
      flush();
      entries.push(...found);
    }
  }
  flush();
  return entries.filter((one) => one.kind === "tool" || one.text.trim() !== "");
}

function entriesOf(line) {
  let event;
  try {
    event = JSON.parse(line);
  } catch {
    return null;
  }
  if (typeof event?.type !== "string") return null;
  if (event.message?.content) return contentEntries(event.message.content);
  if (event.item) return itemEntries(event);
  if (event.type === "result") return resultEntries(event);
  return SILENT.some((one) => event.type.startsWith(one)) ? [] : null;
}

const SILENT = ["system", "rate_limit", "thread.", "turn.", "stream_event", "item."];

// Claude Code.
function contentEntries(content) {
  if (typeof content === "string") return [entry("text", content)];
  if (!Array.isArray(content)) return [];
  return content.flatMap((part) => {
    if (part.type === "text") return [entry("text", part.text)];
    if (part.type === "thinking") return [entry("thought", part.thinking)];
    if (part.type === "tool_use") return [tool(part.name, part.input)];
    if (part.type === "tool_result") return [tool("result", part.content)];
    return [];
  });
}

// Codex.
function itemEntries({ type, item }) {
  if (type !== "item.completed") return [];
  if (item.type === "agent_message") return [entry("text", item.text)];
  if (item.type === "reasoning") return [entry("thought", item.text)];
  if (item.type === "command_execution") return [tool(item.command, item.aggregated_output)];
  return [tool(item.type, item)];
}

function resultEntries(event) {
  const failed = event.is_error ? `ended with an error: ${event.result ?? event.subtype}` : null;
  return failed === null ? [] : [entry("note", failed)];
}

function entry(kind, text) {
  return { kind, text: cut(printable(asText(text))) };
}

function tool(name, content) {
  const text = asText(content);
  const words = content && typeof content === "object" ? Object.values(content) : [];
  const subject = words.find((one) => typeof one === "string") ?? text;
  const first = subject.split("\n").find((line) => line.trim() !== "") ?? "";
  const title = printable(`${asText(name)} ${first}`).slice(0, 140);
  return { kind: "tool", title, text: cut(printable(text)) };
}

function asText(value) {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return value;
  if (Array.isArray(value) && value.every((one) => typeof one?.text === "string")) {
    return value.map((one) => one.text).join("\n");
  }
  return JSON.stringify(value, null, 1);
}

function cut(text) {
  return text.length <= MOST_CHARACTERS ? text : `${text.slice(0, MOST_CHARACTERS)}\n…`;
}

// Colours and cursor movements of a terminal are left out, other control characters are shown.
function printable(text) {
  return text
    .replace(/\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|.)/g, "")
    .replace(/[^\S\n\t ]*\r$/g, "")
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f\u202a-\u202e\u2066-\u2069]/g,
      (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
