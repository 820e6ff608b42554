// Requests to the API. A failure is thrown with the server's message and hint.

export class Failure extends Error {
  constructor(status, error, document) {
    super(error.message);
    this.status = status;
    this.code = error.code;
    this.hint = error.hint;
    this.document = document;
  }
}

async function request(method, path, body) {
  const options = { method, headers: {} };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch("/api/v1" + path, options);
  } catch {
    throw new Failure(0, { code: "unreachable", message: "The board cannot be reached.", hint: null });
  }
  const document = await answer.json();
  // The session is over. The server answers this very address with the way in.
  if (answer.status === 401 && document.error.code === "no-key") location.reload();
  if (!answer.ok) throw new Failure(answer.status, document.error, document);
  return document;
}

export const get = (path) => request("GET", path);
export const post = (path, body) => request("POST", path, body);
export const patch = (path, body) => request("PATCH", path, body);
export const put = (path, body) => request("PUT", path, body);
export const remove = (path) => request("DELETE", path);
