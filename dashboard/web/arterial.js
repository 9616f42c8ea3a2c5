// The time-space diagram of an arterial: through greens at each of its junctions over the last five minutes, and
// the bands in which one who drives at the limit comes from green to green.
import { signal } from "@preact/signals";
import { html } from "./html.js";
import { assetOf, now, open, rows, site } from "./state.js";
import { clock, num, t } from "./words.js";

const SECONDS = 300;
const WIDTH = 1000;
const HEIGHT = 270;
const LEFT = 190; // for the junctions' names
const TOP = 14;
const BOTTOM = 22;
const BAR = 6;

const chosen = signal("");

const EARTH_M = 6371008.8;
const RAD = Math.PI / 180;
const apart = (a, b) => Math.hypot((a[0] - b[0]) * Math.cos(((a[1] + b[1]) / 2) * RAD), a[1] - b[1]) * RAD * EARTH_M;
const lengthOf = (line) => line.slice(1).reduce((sum, p, i) => sum + apart(line[i], p), 0);

// By which group, how far and how fast one comes to `to` from `from`: the approach that begins nearest to it.
function link(from, to) {
  let best = null;
  for (const group of to.group) {
    const segment = site.value.segments.find((s) => s.id === group.segment);
    if (!segment) continue;
    const ends = [segment.line[0], segment.line.at(-1)];
    const far = apart(ends[0], to.at) > apart(ends[1], to.at) ? ends[0] : ends[1];
    const rest = apart(far, from.at);
    if (!best || rest < best.rest) best = { group: group.id, rest, segment };
  }
  if (!best) return null;
  return { group: best.group, length_m: lengthOf(best.segment.line) + best.rest, speed_m_s: best.segment.speed_limit_km_h / 3.6 };
}

// From when to when one of the groups was green, as [from, to] in seconds since the epoch.
function greens(junction, groups, until) {
  const changes = rows("bands")[junction.id]?.changes ?? [];
  const found = [];
  changes.forEach(([at, stage, interval], i) => {
    const green = interval === "green" && junction.stage.find((s) => s.id === stage)?.green.some((group) => groups.includes(group));
    const end = changes[i + 1]?.[0] ?? until;
    if (!green) return;
    const last = found.at(-1);
    if (last && at - last[1] < 0.5) last[1] = end;
    else found.push([at, end]);
  });
  return found;
}

// The junctions with their place along the road, and their links and greens in both directions.
function along(arterial, until) {
  const stops = arterial.junctions.map((id) => ({ junction: assetOf(id).thing, at_m: 0 }));
  stops.forEach((stop, i) => {
    const before = stops[i - 1];
    const after = stops[i + 1];
    stop.forward = before && link(before.junction, stop.junction);
    stop.backward = after && link(after.junction, stop.junction);
    stop.at_m = before ? before.at_m + (stop.forward?.length_m ?? 0) : 0;
  });
  for (const stop of stops) {
    const groupsOf = (way, other) => (way ? [way.group] : turningIn(stop.junction, other));
    stop.greens = {
      forward: greens(stop.junction, groupsOf(stop.forward, stop.backward), until),
      backward: greens(stop.junction, groupsOf(stop.backward, stop.forward), until),
    };
  }
  return stops;
}

// Where the road begins: all groups but the one that comes along it.
const turningIn = (junction, along) => junction.group.map((g) => g.id).filter((id) => id !== along?.group);

function Band({ from, to, way, direction, x, y }) {
  if (!way) return null;
  const travel_s = way.length_m / way.speed_m_s;
  const bands = [];
  for (const [a, b] of from.greens[direction]) {
    for (const [c, d] of to.greens[direction]) {
      const [start, end] = [Math.max(a + travel_s, c), Math.min(b + travel_s, d)];
      if (end - start >= 1) bands.push([start, end]);
    }
  }
  return bands.map(([start, end]) => {
    const points = [[start - travel_s, from], [end - travel_s, from], [end, to], [start, to]];
    return html`<polygon key=${start} class="band ${direction}" points=${points.map(([at, stop]) => `${x(at)},${y(stop)}`).join(" ")} />`;
  });
}

function Diagram({ arterial }) {
  const until = now.value;
  const stops = along(arterial, until);
  const length_m = stops.at(-1).at_m || 1;
  const x = (at) => LEFT + ((at - until + SECONDS) / SECONDS) * (WIDTH - LEFT - 8);
  const y = (stop) => HEIGHT - BOTTOM - (stop.at_m / length_m) * (HEIGHT - BOTTOM - TOP);
  const minutes = Array.from({ length: SECONDS / 60 + 1 }, (_, i) => Math.floor(until / 60) * 60 - i * 60).filter((at) => x(at) >= LEFT);
  return html`
    <svg class="arterial-picture" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label=${arterial.name} data-test="time-space">
      <defs><clipPath id="diagram"><rect x=${LEFT} y="0" width=${WIDTH - LEFT - 8} height=${HEIGHT - BOTTOM + 10} /></clipPath></defs>
      ${minutes.map((at) => html`
        <line key=${at} class="minute" x1=${x(at)} x2=${x(at)} y1=${TOP - 8} y2=${HEIGHT - BOTTOM + 8} />
        <text key=${`t${at}`} class="soft-text" x=${x(at)} y=${HEIGHT - 2} text-anchor=${x(at) > WIDTH - 40 ? "end" : "middle"}>${clock(at)}</text>
      `)}
      <g clip-path="url(#diagram)">
        ${stops.slice(1).map((stop, i) => html`
          <${Band} key=${`f${i}`} from=${stops[i]} to=${stop} way=${stop.forward} direction="forward" x=${x} y=${y} />
          <${Band} key=${`b${i}`} from=${stop} to=${stops[i]} way=${stops[i].backward} direction="backward" x=${x} y=${y} />
        `)}
        ${stops.map((stop) => html`
          <line key=${stop.junction.id} class="stop" x1=${LEFT} x2=${WIDTH - 8} y1=${y(stop)} y2=${y(stop)} />
          ${["forward", "backward"].map((direction, side) => stop.greens[direction].map(([a, b]) => html`
            <rect key=${`${direction}${a}`} class="go" x=${x(a)} width=${Math.max(0, x(b) - x(a))} y=${y(stop) - (side ? 0 : BAR)} height=${BAR} />
          `))}
        `)}
      </g>
      ${stops.map((stop) => html`
        <text key=${stop.junction.id} x=${LEFT - 8} y=${y(stop) + 4} text-anchor="end" style="cursor:pointer" onClick=${() => open(stop.junction.id)}>
          ${shortName(stop.junction, arterial)} <tspan class="soft-text">${num(stop.at_m)} m</tspan>
        </text>
      `)}
    </svg>
  `;
}

const shortName = (junction, arterial) => junction.name.split(" - ").filter((part) => part !== arterial.name).join(" - ") || junction.name;

export function Arterial() {
  const list = site.value.arterials;
  const arterial = list.find((a) => a.id === chosen.value) ?? list[0];
  if (!arterial) return null;
  return html`
    <h2>
      ${t("arterial")}
      ${list.map((a) => html`<button key=${a.id} class="plain link ${a === arterial ? "on" : ""}" aria-pressed=${a === arterial} onClick=${() => (chosen.value = a.id)}>${a.name}</button>`)}
      <small>${t("arterialHint")}</small>
    </h2>
    <${Diagram} arterial=${arterial} />
  `;
}
