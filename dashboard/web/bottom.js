// The bottom bar: the map's key, the way to the drawers, the time bar.
import { proposals } from "./closures.js";
import { commandCounts, sourceCounts, toggleDrawer } from "./drawer.js";
import { warnedCount } from "./outlook.js";
import { html } from "./html.js";
import { TimeBar } from "./replay.js";
import { depthLimits, dialog, drawer, site } from "./state.js";
import { cm, t } from "./words.js";

export function BottomBar() {
  return html`
    <footer class="bottom">
      <${Legend} />
      <${TimeBar} />
      <${Tabs} />
    </footer>
  `;
}

function Legend() {
  return html`
    <div class="legend" aria-hidden="true">
      <span>${t("legendFlood")}
        ${depthLimits.value.map((limit, i) => html`<i key=${i} class="dot f${i + 1}"></i>${cm(limit)}`)}
      </span>
      <span>${t("legendTraffic")}
        ${[1, 2, 3].map((level) => html`<i key=${level} class="bar c${level}"></i>${t(`traffic${level}`)}`)}
      </span>
      <span class="closed-key"><i class="bar expected"></i>${t("legendExpected")}</span>
      <span class="closed-key"><i class="bar closed"></i>${t("legendClosed")} <i class="bar proposed"></i>${t("legendProposed")}</span>
    </div>
  `;
}

function Tabs() {
  const sources = sourceCounts();
  const commands = commandCounts();
  const waiting = proposals().length;
  const warned = warnedCount();
  const tab = (name, key, note, bad) => html`
    <button class="tab ${drawer.value === name ? "on" : ""}" onClick=${() => toggleDrawer(name)} aria-expanded=${drawer.value === name} data-test="tab-${name}">
      <kbd>${key}</kbd> ${t(name)} <b class=${bad ? "bad" : ""}>${note}</b>
    </button>
  `;
  return html`
    <nav class="tabs">
      ${tab("closures", "C", waiting || "", waiting > 0)}
      ${tab("outlook", "F", warned || "", warned > 0)}
      ${tab("commands", "K", commands.pending ? `${commands.pending}…` : commands.bad || "", commands.bad > 0)}
      ${site.value.arterials.length > 0 && tab("arterial", "T", "", false)}
      ${tab("sources", "G", sources.silent ? `${sources.silent} ${t("silent")}` : `${sources.up}/${sources.of}`, sources.silent > 0)}
      <button class="tab" onClick=${() => (dialog.value = "find")} data-test="tab-find"><kbd>/</kbd> ${t("find")}</button>
      <button class="tab" onClick=${() => (dialog.value = "help")} data-test="tab-help"><kbd>?</kbd> ${t("help")}</button>
    </nav>
  `;
}
