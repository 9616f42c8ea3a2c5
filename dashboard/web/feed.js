// Talks to the centre: the WebSocket of docs/INTERFACES.md. In come snapshots and deltas for state.js, out go
// the operator's requests, each of which ends with the centre's answer.
import { centre, link, peek, takeDelta, takeSnapshot, ticking } from "./state.js";

const RETRY_MS = [300, 600, 1200, 2500, 5000];
const ANSWER_MS = 12000;
const RESYNC_MS = 1100; // the centre gives a page one snapshot a second at most
const SILENT_MS = 15000; // a link that says nothing this long is dead, whatever the browser thinks

let socket = null;
let failures = 0;
let seq = null;
let resyncing = 0;
let asked = 0;
let handled = Promise.resolve();
const waiting = new Map();

async function inflate(data) {
  const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).json();
}

function resync() {
  const now = performance.now();
  if (now - resyncing < RESYNC_MS || socket?.readyState !== WebSocket.OPEN) return;
  resyncing = now;
  socket.send('{"do":"resync"}');
}

function heard(message, receivedAt) {
  const at = message.at_ns / 1e9;
  const speed = peek("status").centre?.speed ?? 1;
  const last = centre.value;
  centre.value = {
    at,
    heard: receivedAt,
    moved: at !== last.at ? receivedAt : last.moved,
    delay: Math.max(0, (message.sent_ns - message.at_ns) / 1e9 / speed) + (performance.now() - receivedAt) / 1000,
    operator: message.operator ?? last.operator,
  };
}

function take(message, receivedAt) {
  if (message.kind === "answer") {
    waiting.get(message.id)?.(message);
    return;
  }
  if (message.kind === "snapshot") {
    seq = message.seq;
    takeSnapshot(message.tables);
    link.value = "live";
    failures = 0;
  } else if (seq !== null && message.seq === seq + 1) {
    seq = message.seq;
    takeDelta(message.set, message.drop);
  } else if (seq === null || message.seq > seq) {
    seq = null; // a gap: nothing is merged until the whole picture is here again
    resync();
    return;
  } else {
    return;
  }
  heard(message, receivedAt);
}

function end(closed) {
  if (closed !== socket) return;
  socket = null;
  seq = null;
  link.value = "lost";
  for (const answer of waiting.values()) answer({ ok: false, why: "connection lost" });
  setTimeout(connect, RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]);
  failures += 1;
}

export function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const opened = new WebSocket(`${scheme}://${location.host}/feed`);
  opened.binaryType = "arraybuffer";
  socket = opened;
  opened.onmessage = (event) => {
    const receivedAt = performance.now();
    // one after another: inflating is asynchronous, and the order is all
    handled = handled
      .then(() => inflate(event.data))
      .then((message) => opened === socket && take(message, receivedAt))
      .catch((error) => {
        reportError(error);
        seq = null;
        resync();
      });
  };
  opened.onclose = () => end(opened);
}

// Ask the centre for something; gives {ok, why}. Never throws: a refusal is an answer.
export function ask(request) {
  if (socket?.readyState !== WebSocket.OPEN) return Promise.resolve({ ok: false, why: "no connection" });
  const id = (asked += 1);
  return new Promise((answered) => {
    const timer = setTimeout(() => waiting.get(id)?.({ ok: false, why: "no answer" }), ANSWER_MS);
    waiting.set(id, (answer) => {
      clearTimeout(timer);
      waiting.delete(id);
      answered(answer);
    });
    socket.send(JSON.stringify({ ...request, id }));
  });
}

export function startTicking() {
  setInterval(() => {
    ticking.value += 1;
    const silent = centre.value.heard && performance.now() - centre.value.heard > SILENT_MS;
    if (link.value === "live" && silent) socket?.close();
    if (seq === null && link.value === "live") resync();
  }, 250);
}
