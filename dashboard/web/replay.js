// The time bar: the last hour's water, from the store, shown on the map at any instant of it. It replays street
// depths and tide; traffic, signals and orders are of now only, so the map hides them and says so.
import { computed, effect, signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { pastOf, valueAt } from "./history.js";
import { html } from "./html.js";
import { alarmList, now, replayAt, replayDepths, site, ticking } from "./state.js";
import { clock, t } from "./words.js";

const SPAN_MIN = 60;
const PLAY_SPEEDS = [10, 30, 60, 120];

const playing = signal(false);
const speed = signal(60);
let pasts = null;

function streets() {
  return site.value.gauges.filter((g) => g.kind === "street" && g.segment);
}

function load() {
  pasts ??= new Map(streets().map((g) => [g.segment, pastOf(`${g.id}/depth_m`, SPAN_MIN)]));
}

export function goTime(at) {
  load();
  const latest = now.value - 2;
  if (at >= latest) return backToLive();
  replayAt.value = Math.max(now.value - SPAN_MIN * 60, at);
}

export function backToLive() {
  playing.value = false;
  replayAt.value = 0;
  replayDepths.value = null;
  pasts = null;
}

export function togglePlay() {
  if (!replayAt.value) goTime(now.value - SPAN_MIN * 60);
  playing.value = !playing.value || !replayAt.value;
}

effect(() => {
  if (!replayAt.value || !pasts) return;
  const depths = new Map();
  for (const [segment, past] of pasts) {
    past.version.value;
    depths.set(segment, valueAt(past.at, past.v, replayAt.value));
  }
  replayDepths.value = depths;
});

let played = 0;
effect(() => {
  ticking.value;
  if (!playing.value) {
    played = 0;
    return;
  }
  const at = performance.now();
  if (played) goTime(replayAt.peek() + ((at - played) / 1000) * speed.peek());
  played = at;
});

// The alarms' beginnings in the span, as marks.
const marks = computed(() => {
  const from = now.value - SPAN_MIN * 60;
  return alarmList.value.filter((a) => a.since > from).map((a) => ({ tag: a.tag, priority: a.priority, share: (a.since - from) / (SPAN_MIN * 60) }));
});

export function TimeBar() {
  const bar = useRef(null);
  const span = SPAN_MIN * 60;
  const from = now.value - span;
  const share = replayAt.value ? (replayAt.value - from) / span : 1;
  const seek = (event) => {
    if (event.type === "pointermove" && !(event.buttons & 1)) return;
    const box = bar.current.getBoundingClientRect();
    const to = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    playing.value = false;
    goTime(from + to * span);
  };
  const step = (event) => {
    const by = { ArrowLeft: -60, ArrowRight: 60, Home: -span, End: span }[event.key];
    if (!by || event.shiftKey) return;
    goTime((replayAt.value || now.value - 3) + by);
    event.preventDefault();
    event.stopPropagation();
  };
  return html`
    <div class="timebar ${replayAt.value ? "on" : ""}" data-test="timebar">
      <button class="plain" onClick=${togglePlay} title=${`${t("replay")} (Space)`} aria-label=${t(playing.value ? "pause" : "play")}>${playing.value ? "❚❚" : "▶"}</button>
      <span class="from">−60′</span>
      <div class="track" ref=${bar} tabindex="0" role="slider" aria-label=${t("replay")} aria-valuemin="0" aria-valuemax="100"
        aria-valuenow=${Math.round(share * 100)} aria-valuetext=${clock(replayAt.value || now.value)} onPointerDown=${seek} onPointerMove=${seek} onKeyDown=${step}>
        <i class="passed" style=${{ width: `${share * 100}%` }}></i>
        ${marks.value.map((m) => html`<i key=${m.tag} class="at p${m.priority}" style=${{ left: `${m.share * 100}%` }}></i>`)}
        <i class="head" style=${{ left: `${share * 100}%` }}></i>
      </div>
      <button class="plain speed" onClick=${() => (speed.value = PLAY_SPEEDS[(PLAY_SPEEDS.indexOf(speed.value) + 1) % PLAY_SPEEDS.length])}>×${speed.value}</button>
    </div>
  `;
}

export function ReplayBanner() {
  if (!replayAt.value) return null;
  return html`
    <div class="banner replay" data-test="replaying">
      <b>${t("replayMark")} ${clock(replayAt.value)}</b>
      <span>${t("replayHint")}</span>
      <button onClick=${backToLive}>${t("backToLive")} <kbd>Esc</kbd></button>
    </div>
  `;
}
