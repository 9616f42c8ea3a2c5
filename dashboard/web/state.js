// What the page knows: the city, the tables of the feed, and what the operator is looking at.
//
// A table is a plain object of rows that the feed changes in place; its version is a signal, so that a
// component that reads `rows("alarms")` is drawn again when an alarm changes, and only then.
import { computed, signal } from "@preact/signals";
import { setTimezone } from "./words.js";

export const TABLES = [
  "points", "signals", "measures", "bands", "segments", "cameras", "pumps", "gates", "stations", "signs", "circuits", "alarms",
  "incidents", "commands", "sources", "closures", "tide", "rain", "forecasts", "outlooks", "outlook_runs", "outlook_skill", "basins", "standing", "status",
];
export const CLASSES = ["motorbike", "car", "bus", "truck", "emergency"];

const tables = Object.fromEntries(TABLES.map((name) => [name, {}]));
const versions = Object.fromEntries(TABLES.map((name) => [name, signal(0)]));

// The rows of a table; whoever reads them this way is told of changes.
export function rows(table) {
  versions[table].value;
  return tables[table];
}

// The rows of a table, without being told of changes.
export const peek = (table) => tables[table];

export function takeSnapshot(snapshot) {
  for (const name of TABLES) {
    tables[name] = snapshot[name] ?? {};
    versions[name].value += 1;
  }
}

export function takeDelta(set, drop) {
  for (const [name, keys] of Object.entries(drop)) {
    if (!tables[name]) continue;
    for (const key of keys) delete tables[name][key];
  }
  for (const [name, changed] of Object.entries(set)) {
    if (!tables[name]) continue;
    for (const [key, fields] of Object.entries(changed)) {
      tables[name][key] = { ...tables[name][key], ...fields };
    }
  }
  for (const name of new Set([...Object.keys(set), ...Object.keys(drop)])) {
    if (versions[name]) versions[name].value += 1;
  }
}

// --- the city -------------------------------------------------------------------------------------

export const site = signal(null);
export const siteFailed = signal("");

const middle = (line) => line[Math.floor((line.length - 1) / 2)];

function index(city) {
  const assets = new Map();
  const add = (kind, list, place) => {
    for (const thing of list) {
      assets.set(thing.id, { id: thing.id, kind, name: thing.name ?? thing.id, at: place(thing), thing });
    }
  };
  add("segment", city.segments, (s) => s.low_point ?? middle(s.line));
  add("signal", city.junctions, (j) => j.at);
  add("camera", city.cameras, (c) => c.at);
  add("gauge", city.gauges, (g) => g.at);
  add("station", city.stations, (s) => s.at);
  add("gate", city.gates, (g) => g.at);
  add("sign", city.signs, (s) => s.at);
  const segments = new Map(city.segments.map((s) => [s.id, s]));
  add("circuit", city.circuits, (c) => c.at);
  for (const circuit of city.circuits) {
    assets.get(circuit.id).name = segments.get(circuit.segment)?.name ?? circuit.id;
  }
  for (const pump of city.pumps) {
    const station = assets.get(pump.station);
    const name = `${station?.name ?? pump.station} · ${pump.id}`;
    assets.set(pump.id, { id: pump.id, kind: "pump", name, at: station?.at ?? null, thing: pump });
  }
  for (const plc of city.plcs) {
    const target = assets.get(plc.targets[0]);
    assets.set(plc.id, { id: plc.id, kind: "plc", name: plc.name, at: target?.at ?? null, thing: plc });
  }
  return assets;
}

const noAssets = new Map();
export const assets = computed(() => (site.value ? index(site.value) : noAssets));

// The asset of an id; alarms may speak of a thing that the map has not.
export const assetOf = (id) => assets.value.get(id) ?? null;
export const nameOf = (id) => assets.value.get(id)?.name ?? id;

export async function loadSite() {
  const answer = await fetch("/api/site");
  if (!answer.ok) throw new Error(`/api/site: ${answer.status}`);
  const city = await answer.json();
  setTimezone(city.timezone);
  site.value = city;
}

// The row of dated thresholds that is in force at an instant.
export function inForce(dated, seconds) {
  const today = new Date((seconds || 0) * 1000).toISOString().slice(0, 10);
  const valid = dated.filter((row) => row.valid_from <= today);
  return valid.sort((a, b) => (a.valid_from < b.valid_from ? 1 : -1))[0] ?? null;
}

export const depthLimits = computed(
  () => inForce(site.value?.inundation_levels ?? [], centre.value.at)?.depths_m ?? [0.1, 0.2, 0.3, 0.5],
);

// The level that a depth has reached, 0 to 4.
export const depthLevel = (depth_m) => depthLimits.value.filter((limit) => depth_m >= limit).length;

// --- the feed's own state -------------------------------------------------------------------------

// `link`: connecting, live, or lost. `heard`: when the last message came, on the page's own steady clock (ms).
export const link = signal("connecting");
export const centre = signal({ at: 0, heard: 0, moved: 0, delay: null, operator: "" });
export const ticking = signal(0); // changes four times a second: what shows an age reads it

export const STALE_S = 5;

// Seconds since the centre's time last moved on; a feed that talks and says nothing new is stale too.
export const silence = computed(() => {
  ticking.value;
  return centre.value.moved ? (performance.now() - centre.value.moved) / 1000 : 0;
});
export const stale = computed(() => link.value === "lost" || silence.value > STALE_S);

// The centre's time now, in seconds since the Unix epoch: its last word, and what has passed since.
export const now = computed(() => {
  ticking.value;
  const { at, moved } = centre.value;
  if (!at) return 0;
  const speed = rows("status").centre?.speed ?? 1;
  const passed = Math.min((performance.now() - moved) / 1000, STALE_S);
  return at + (stale.value ? 0 : passed * speed);
});

// --- what the operator looks at --------------------------------------------------------------------

export const selected = signal(""); // an asset's id
export const selectedAlarm = signal(""); // an alarm's tag
export const drawer = signal(""); // "", sources, commands, closures, arterial
export const dialog = signal(""); // "", find, help
export const shelving = signal(""); // the alarm that is being shelved
export const shelvedShown = signal(false);
export const goTo = signal(null); // where the map is to go: {at, zoom} or {at, near}
export const replayAt = signal(0); // 0: now; else the instant whose water the map shows
export const replayDepths = signal(null); // segment -> depth_m at that instant

export function open(id) {
  const asset = assetOf(id);
  selected.value = asset ? id : "";
  if (asset?.at) goTo.value = { at: asset.at };
}

// What is there and waits first, then what is there, then what is over and waits; the gravest, then the newest.
const ALARM_ORDER = { unack: 0, ack: 1, rtn_unack: 2 };
export const alarmList = computed(() => {
  const list = Object.entries(rows("alarms")).map(([tag, row]) => ({ tag, ...row }));
  return list.sort(
    (a, b) => ALARM_ORDER[a.state] - ALARM_ORDER[b.state] || a.priority - b.priority || b.since - a.since || (a.tag < b.tag ? -1 : 1),
  );
});
export const standing = computed(() => alarmList.value.filter((a) => !a.shelved_until));
export const shelf = computed(() => alarmList.value.filter((a) => a.shelved_until));

// The gravest alarm that is there of each asset, for the map.
export const alarmOf = computed(() => {
  const worst = new Map();
  for (const alarm of standing.value) {
    if (alarm.state === "rtn_unack") continue;
    const other = worst.get(alarm.asset);
    if (!other || alarm.priority < other.priority) worst.set(alarm.asset, alarm);
  }
  return worst;
});
