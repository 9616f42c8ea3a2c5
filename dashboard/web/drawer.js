// The drawer under the map: sources and what was rejected of them, the command log, all closures, the arterials.
import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { Arterial } from "./arterial.js";
import { JournalChain } from "./chain.js";
import { ClosureCard, closureList } from "./closures.js";
import { html } from "./html.js";
import { Outlook } from "./outlook.js";
import { outcomeClass, whatWord } from "./order.js";
import { drawer, nameOf, open, rows } from "./state.js";
import { clock, num, t } from "./words.js";

const all = signal(false); // sources: also those without trouble
const routine = signal(false); // commands: also the planner's signal stages

export function toggleDrawer(name) {
  drawer.value = drawer.value === name ? "" : name;
}

export function Drawer() {
  const Body = { sources: Sources, commands: Commands, closures: Closures, arterial: Arterial, outlook: Outlook }[drawer.value];
  if (!Body) return null;
  return html`
    <section class="drawer" aria-label=${t(drawer.value)} data-test="drawer">
      <button class="plain x" onClick=${() => (drawer.value = "")} title="Esc" aria-label=${t("close")}>×</button>
      <${Body} />
    </section>
  `;
}

export function sourceCounts() {
  const list = Object.values(rows("sources"));
  const rejected = list.reduce((sum, row) => sum + rejectedOf(row), 0);
  return { up: list.filter((r) => r.state === "up").length, silent: list.filter((r) => r.state === "silent").length, of: list.length, rejected };
}

const rejectedOf = (row) => Object.values(row.rejected ?? {}).reduce((sum, n) => sum + n, 0);
const RANK = { silent: 0, unknown: 1, up: 2 };

function Sources() {
  const list = Object.entries(rows("sources")).map(([id, row]) => ({ id, ...row, bad: rejectedOf(row) }));
  const troubled = list.filter((r) => r.state === "silent" || r.local || r.bad > 0);
  const shown = (all.value ? list : troubled).sort((a, b) => RANK[a.state] - RANK[b.state] || b.bad - a.bad || (a.id < b.id ? -1 : 1));
  const { up, silent, of, rejected } = sourceCounts();
  return html`
    <h2>
      ${t("sources")} <small>${up}/${of} ${t("sourcesUp")} · ${silent} ${t("silent")} · ${num(rejected)} ${t("rejected")}</small>
      <button class="plain link" onClick=${() => (all.value = !all.value)}>${all.value ? t("showTroubled") : t("showAll")}</button>
    </h2>
    <div class="scroll">
      ${shown.length ? html`
        <table class="sources">
          <thead><tr><th>${t("source")}</th><th>${t("state")}</th><th>${t("since")}</th><th class="n">${t("messages")}</th><th class="n">${t("rejected")}</th><th>${t("lastSample")}</th></tr></thead>
          <tbody>
            ${shown.map((row) => html`
              <tr key=${row.id} onClick=${() => open(row.id)}>
                <td><b>${row.id}</b> <span class="soft">${nameOf(row.id) === row.id ? "" : nameOf(row.id)}</span></td>
                <td class=${`why ${row.state === "silent" || row.local ? "bad" : ""}`}>${t(row.local && row.state === "up" ? "ownRules" : row.state)}${row.why ? ` · ${row.why}` : ""}</td>
                <td>${clock(row.at)}</td>
                <td class="n">${num(row.n)}</td>
                <td class="n">${Object.entries(row.rejected ?? {}).map(([reason, n]) => html`<div key=${reason}>${reason} <b>${num(n)}</b></div>`)}</td>
                <td class="sample" title=${row.sample}>${row.sample}</td>
              </tr>
            `)}
          </tbody>
        </table>
      ` : html`<p class="soft">${t("allWell")}</p>`}
    </div>
  `;
}

const isRoutine = (row) => row.kind === "stage" && !row.by.startsWith("operator:");
const PENDING = ["commanded", "sent", "accepted"];

export function commandCounts() {
  const list = Object.values(rows("commands"));
  const bad = list.filter((r) => ["refused", "unconfirmed", "expired"].includes(r.state) && !isRoutine(r)).length;
  return { pending: list.filter((r) => PENDING.includes(r.state) && !isRoutine(r)).length, bad };
}

function Commands() {
  const [chained, chain] = useState("");
  const list = Object.entries(rows("commands")).filter(([, row]) => routine.value || !isRoutine(row)).reverse();
  return html`
    <h2>
      ${t("commands")} <small>${list.length}</small>
      <button class="plain link" onClick=${() => (routine.value = !routine.value)}>${routine.value ? t("noRoutine") : t("routine")}</button>
    </h2>
    <div class="scroll">
      ${list.length ? html`
        <table class="commands">
          <thead><tr><th>${t("colTime")}</th><th>${t("target")}</th><th>${t("order")}</th><th>${t("by")}</th><th>${t("why")}</th><th>${t("outcome")}</th><th class="n">s</th></tr></thead>
          <tbody>
            ${list.map(([key, row]) => html`
              <tr key=${key} onClick=${() => chain(chained === key ? "" : key)} class=${chained === key ? "chosen" : ""}>
                <td>${clock(row.at)}</td>
                <td><b>${row.target}</b></td>
                <td>${whatWord(row)}</td>
                <td>${row.by}</td>
                <td class="sample" title=${row.why}>${row.why}</td>
                <td class=${`why ${outcomeClass(row.state)}`}>${t(row.state)}${row.outcome ? ` · ${row.outcome}` : ""}</td>
                <td class="n">${row.took_ms === null ? "" : num(row.took_ms / 1000, 1)}</td>
              </tr>
              ${chained === key && html`<tr key=${`${key}-chain`} class="chained"><td colspan="7"><b>${t("chain")}</b> <${JournalChain} address=${key} /></td></tr>`}
            `)}
          </tbody>
        </table>
      ` : html`<p class="soft">${t("noCommands")}</p>`}
    </div>
  `;
}

function Closures() {
  const list = closureList();
  return html`
    <h2>${t("closures")} <small>${list.length}</small></h2>
    <div class="scroll cards">
      ${list.map((closure) => html`<${ClosureCard} key=${closure.segment} closure=${closure} />`)}
      ${!list.length && html`<p class="soft">${t("noClosures")}</p>`}
    </div>
  `;
}
