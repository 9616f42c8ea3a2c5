// Closures: what the rules propose, why, and the operator's decision. Nothing closes without it.
import { signal } from "@preact/signals";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Chain } from "./chain.js";
import { ask } from "./feed.js";
import { html } from "./html.js";
import { assetOf, depthLevel, drawer, nameOf, open, peek, replayAt, rows, stale } from "./state.js";
import { clock, cm, t } from "./words.js";

const RANK = { proposed: 0, approved: 1, declined: 2 };
export const decided = signal(""); // the last refusal, to be read
export const deciding = signal(null); // a decision that waits to be confirmed: {segment, approved}

export function closureList() {
  return Object.entries(rows("closures"))
    .map(([segment, row]) => ({ segment, ...row }))
    .sort((a, b) => RANK[a.state] - RANK[b.state] || (a.expected ?? 0) - (b.expected ?? 0) || b.depth_m - a.depth_m || (a.segment < b.segment ? -1 : 1));
}

export const proposals = () => closureList().filter((c) => c.state === "proposed");

export function startDeciding(segment, approved) {
  if (!stale.value && !replayAt.value) deciding.value = { segment, approved };
}

async function decide({ segment, approved }) {
  deciding.value = null;
  if (stale.value || replayAt.value) return;
  const answer = await ask({ do: "closure", segment, approved });
  decided.value = answer.ok ? "" : `${nameOf(segment)}: ${answer.why}`;
}

// The proposals, above the trends, as long as there are any.
export function ClosureCards() {
  const waiting = proposals();
  if (!waiting.length) return null;
  return html`
    <section class="pane closures-waiting" aria-label=${t("closures")}>
      <h2>
        ${t("closureProposed")} (${waiting.length})
        ${waiting.length > 1 && html`<button class="plain link" onClick=${() => (drawer.value = "closures")}>${t("showAll")} <kbd>C</kbd></button>`}
      </h2>
      <${ClosureCard} key=${waiting[0].segment} closure=${waiting[0]} keys=${true} />
      ${decided.value && html`<p class="refusal">${decided.value}</p>`}
    </section>
  `;
}

export function ClosureCard({ closure, keys = false, unfolded = false }) {
  const [shown, show] = useState(unfolded);
  const level = depthLevel(closure.depth_m);
  const word = { proposed: "closureProposed", approved: "closureApproved", declined: "closureDeclined" }[closure.state];
  return html`
    <article class="closure ${closure.state}" data-closure=${closure.segment}>
      <div class="line">
        <span class="plate f${level}">${cm(closure.depth_m)} cm</span>
        <button class="plain name" onClick=${() => open(closure.segment)}>
          <b>${nameOf(closure.segment)} <small>${t(word)} ${clock(closure.at, false)}${closure.by ? ` · ${closure.by}` : ""}</small></b>
          <span>${closure.expected ? html`<b class="soon">${t("expectedAt")} ${clock(closure.expected, false)}</b> · ` : ""}${t("closureClasses")} ${closure.classes.map(t).join(", ")}${inForce(closure)}${signsOf(closure)}</span>
        </button>
        <span class="decide"><${Buttons} closure=${closure} keys=${keys} /></span>
      </div>
      <button class="plain unfold" aria-expanded=${shown} onClick=${() => show(!shown)}>${shown ? "▾" : "▸"} ${t("chain")}</button>
      ${shown && html`<${Chain} links=${closure.because ?? []} />`}
    </article>
  `;
}

// What an earlier approval already keeps out, where more is proposed now.
const inForce = (closure) =>
  closure.state === "proposed" && closure.in_force.length ? ` (${t("alreadyClosed")}: ${closure.in_force.map(t).join(", ")})` : "";

const signsOf = (closure) => {
  const names = closure.signs.map((id) => assetOf(id)?.name ?? id);
  return names.length ? ` · ${t("signs")}: ${names.join(", ")}` : "";
};

function Buttons({ closure, keys }) {
  const off = stale.value || replayAt.value > 0;
  const { segment } = closure;
  if (deciding.value?.segment === segment) return html`<${Confirmation} closure=${closure} />`;
  if (closure.state === "approved") {
    return html`<button disabled=${off} onClick=${() => startDeciding(segment, false)} data-test="reopen">${t("endClosure")}</button>`;
  }
  return html`
    <button disabled=${off} onClick=${() => startDeciding(segment, true)} data-test="approve">
      ${t("approve")} ${keys && html`<kbd>Y</kbd>`}
    </button>
    ${closure.state === "proposed" && html`
      <button disabled=${off} onClick=${() => startDeciding(segment, false)} data-test="decline">
        ${t("decline")} ${keys && html`<kbd>N</kbd>`}
      </button>
    `}
  `;
}

function Confirmation({ closure }) {
  const yes = useRef(null);
  useLayoutEffect(() => yes.current?.focus(), []); // before the next key: Enter must find it
  const { approved } = deciding.value;
  const word = approved ? "approve" : closure.state === "approved" ? "endClosure" : "decline";
  return html`
    <button ref=${yes} class="do" onClick=${() => decide(deciding.value)} data-test="confirm-closure">${t(word)}? <kbd>Enter</kbd></button>
    <button class="plain" onClick=${() => (deciding.value = null)}>${t("cancel")} <kbd>Esc</kbd></button>
  `;
}

export const closureOf = (segment) => {
  rows("closures");
  const row = peek("closures")[segment];
  return row ? { segment, ...row } : null;
};
