// The alarm list (ISA-18.2): what stands, what waits for an operator, what is on the shelf; by mouse and by key.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ask } from "./feed.js";
import { html } from "./html.js";
import { Shape } from "./shapes.js";
import { open, peek, selectedAlarm, shelf, shelving, shelvedShown, standing } from "./state.js";
import { clock, language, t } from "./words.js";

const SHELF_TIMES_S = [900, 3600, 8 * 3600];

export const shownAlarms = () => (shelvedShown.value ? [...standing.value, ...shelf.value] : standing.value);

export function acknowledge(tag) {
  const row = peek("alarms")[tag];
  if (!row || row.state === "ack") return;
  if (row.state === "rtn_unack") selectedAlarm.value = nextTo(tag); // it leaves the list: the eye stays where it is
  ask({ do: "acknowledge", alarm: tag });
}

function nextTo(tag) {
  const list = shownAlarms();
  const at = list.findIndex((a) => a.tag === tag);
  return (list[at + 1] ?? list[at - 1])?.tag ?? "";
}

export function moveSelection(by) {
  const list = shownAlarms();
  if (!list.length) return;
  const at = list.findIndex((a) => a.tag === selectedAlarm.value);
  const next = at < 0 ? (by > 0 ? 0 : list.length - 1) : Math.min(list.length - 1, Math.max(0, at + by));
  selectedAlarm.value = list[next].tag;
}

export function openAlarm(tag) {
  selectedAlarm.value = tag;
  open(peek("alarms")[tag]?.asset ?? "");
}

export function AlarmPane() {
  const list = shownAlarms();
  const count = shelf.value.length;
  return html`
    <section class="pane alarms" aria-label=${t("alarms")}>
      <h2>
        ${t("alarms")} (${standing.value.length})
        <button class="plain shelf ${count ? "" : "none"}" onClick=${() => (shelvedShown.value = !shelvedShown.value)}
          title=${shelvedShown.value ? t("hideShelved") : t("showShelved")} data-test="shelf">
          · ${t("shelved")} ${count}
        </button>
        <span class="keys"><kbd>A</kbd> ${t("keyAck")} <kbd>S</kbd> ${t("keyShelve")} <kbd>Enter</kbd> ${t("keyOpen")}</span>
      </h2>
      <div class="list" role="listbox" aria-label=${t("alarms")}>
        <div class="row head"><span>P</span><span>${t("colTime")}</span><span>${t("colTag")}</span><span>${t("colText")}</span><span>${t("colState")}</span></div>
        ${list.map((alarm) => html`<${AlarmRow} key=${alarm.tag} alarm=${alarm} />`)}
        ${!list.length && html`<div class="empty">${t("noAlarms")}</div>`}
      </div>
    </section>
  `;
}

function AlarmRow({ alarm }) {
  const chosen = selectedAlarm.value === alarm.tag;
  const row = useRef(null);
  useEffect(() => {
    if (chosen) row.current?.scrollIntoView({ block: "nearest" });
  }, [chosen]);
  const waiting = alarm.state !== "ack";
  const shelved = alarm.shelved_until > 0;
  const classes = ["row", waiting && !shelved ? "waiting" : "", alarm.state, chosen ? "chosen" : "", shelved ? "shelved" : ""];
  return html`
    <div ref=${row} class=${classes.join(" ")} role="option" aria-selected=${chosen} data-alarm=${alarm.tag}
      onClick=${() => openAlarm(alarm.tag)}>
      <span><${Shape} priority=${alarm.priority} waiting=${waiting && !shelved} /></span>
      <span class="time">${clock(alarm.since)}</span>
      <span class="tag" title=${alarm.tag}>${alarm.tag}</span>
      <span class="text" title=${textOf(alarm)}>${textOf(alarm)}</span>
      <span class="state"><${StateCell} alarm=${alarm} shelved=${shelved} /></span>
    </div>
  `;
}

export const textOf = (alarm) => (language.value === "vi" ? alarm.vi : alarm.en) || alarm.vi;

function StateCell({ alarm, shelved }) {
  if (shelved) return html`${t("until")} ${clock(alarm.shelved_until, false)}`;
  if (alarm.state === "ack") return t("ack");
  const press = (event) => {
    event.stopPropagation();
    selectedAlarm.value = alarm.tag;
    acknowledge(alarm.tag);
  };
  return html`<button class="ack" onClick=${press} title="${t("acknowledge")} (A)">${t(alarm.state)}</button>`;
}

export function startShelving(tag) {
  const row = peek("alarms")[tag];
  if (!row) return;
  if (row.shelved_until) ask({ do: "unshelve", alarm: tag });
  else shelving.value = tag;
}

export function ShelveDialog() {
  const tag = shelving.value;
  const [why, setWhy] = useState("");
  const [refused, setRefused] = useState("");
  const first = useRef(null);
  useLayoutEffect(() => {
    setWhy("");
    setRefused("");
    first.current?.focus();
  }, [tag]);
  if (!tag) return null;
  const alarm = peek("alarms")[tag];
  const shelve = async (for_s) => {
    const answer = await ask({ do: "shelve", alarm: tag, for_s, why });
    if (answer.ok) shelving.value = "";
    else setRefused(answer.why);
  };
  const label = (s) => (s < 3600 ? `${s / 60} ${t("minutes")}` : `${s / 3600} ${t("hours")}`);
  return html`
    <div class="veil" onClick=${(e) => e.target === e.currentTarget && (shelving.value = "")}>
      <div class="dialog" role="dialog" aria-modal="true" aria-label=${t("keyShelve")} data-test="shelving">
        <h2>${t("shelve")} · ${tag}</h2>
        <p>${alarm ? textOf(alarm) : ""}</p>
        <label>${t("why")} <input type="text" maxlength="200" value=${why} onInput=${(e) => setWhy(e.target.value)} /></label>
        <p class="buttons">
          <span>${t("shelveFor")}</span>
          ${SHELF_TIMES_S.map((s, i) => html`<button key=${s} ref=${i ? null : first} onClick=${() => shelve(s)}>${label(s)}</button>`)}
          <button class="plain" onClick=${() => (shelving.value = "")}>${t("cancel")} <kbd>Esc</kbd></button>
        </p>
        ${refused && html`<p class="refusal">${t("notTaken")}: ${refused}</p>`}
      </div>
    </div>
  `;
}

