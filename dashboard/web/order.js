// Orders to the field: asked for once more before they leave, then followed until the field has obeyed or not.
import { signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { ask } from "./feed.js";
import { html } from "./html.js";
import { centre, now, peek, rows, stale } from "./state.js";
import { clock, num, t } from "./words.js";

const FOLLOW_S = 90;

// The one order that is being confirmed or followed: {asset, label, request, phase, why, at, before}.
export const order = signal(null);

export function propose(asset, label, request) {
  order.value = { asset, label, request, phase: "confirm" };
}

export async function execute() {
  const asked = order.value;
  if (asked?.phase !== "confirm" || stale.value) return;
  const before = new Set(Object.keys(peek("commands")));
  order.value = { ...asked, phase: "sending", at: now.peek(), before };
  const answer = await ask(asked.request);
  if (order.value?.request !== asked.request) return;
  order.value = { ...order.value, phase: answer.ok ? "taken" : "refused", why: answer.why ?? "" };
}

export function cancel() {
  order.value = null;
}

// What has come of the order: its own row of the command log, once there is one.
function followed(asked) {
  const by = `operator:${centre.value.operator}`;
  const found = Object.entries(rows("commands")).filter(
    ([key, row]) => !asked.before.has(key) && row.target === asked.asset && row.by === by,
  );
  return found.at(-1)?.[1] ?? null;
}

export function OrderStrip({ asset }) {
  const asked = order.value;
  const yes = useRef(null);
  const mine = asked?.asset === asset;
  useLayoutEffect(() => {
    if (mine && asked.phase === "confirm") yes.current?.focus();
  }, [mine, asked?.phase]);
  if (!mine) return null;
  if (asked.phase === "confirm") {
    return html`
      <div class="order confirm" role="alertdialog" aria-label=${t("confirmPrompt")} data-test="confirm">
        <b>${asked.label}?</b>
        <button ref=${yes} class="do" onClick=${execute} disabled=${stale.value}>${t("confirm")} <kbd>Enter</kbd></button>
        <button class="plain" onClick=${cancel}>${t("cancel")} <kbd>Esc</kbd></button>
      </div>
    `;
  }
  const row = asked.phase === "taken" ? followed(asked) : null;
  const late = now.value - asked.at > FOLLOW_S;
  return html`
    <div class="order follow" role="status" data-test="outcome">
      <span>${asked.label}</span>
      <b class=${badOutcome(row?.state ?? asked.phase) ? "bad" : ""}>${phaseWord(asked, row)}</b>
      ${(row?.outcome || asked.why) && html`<span class="why">${row?.outcome || asked.why}</span>`}
      ${row?.took_ms !== null && row?.took_ms !== undefined && html`<span class="soft">${num(row.took_ms / 1000, 1)} s</span>`}
      <button class="plain" onClick=${cancel} aria-label=${t("close")}>${late ? t("close") : "×"}</button>
    </div>
  `;
}

const badOutcome = (state) => ["refused", "unconfirmed", "expired"].includes(state);

function phaseWord(asked, row) {
  if (asked.phase === "sending") return t("waiting");
  if (asked.phase === "refused") return t("notTaken");
  if (!row) return t("taken");
  return t(row.state);
}

export const outcomeClass = (state) => (badOutcome(state) ? "bad" : state === "confirmed" ? "good" : "");

export function CommandLine({ row }) {
  return html`
    <li>
      <time>${clock(row.at)}</time>
      <b>${whatWord(row)}</b>
      <span class="soft">${row.by}</span>
      <span class=${outcomeClass(row.state)}>${t(row.state)}${row.outcome ? ` · ${row.outcome}` : ""}</span>
    </li>
  `;
}

export function whatWord(row) {
  if (row.what === "run" || row.what === "stop") return t(row.what);
  if (row.kind === "sign" && !row.what) return t("blank");
  return row.what || "–";
}
