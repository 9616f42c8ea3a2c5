// Draws all that changes over the base: traffic and water on the roads (under the names), depths, assets, alarms,
// the selection (over them). Also tells what is under the pointer. Nothing here decides; the tables do.
import { roadWidthPx, trace } from "./base.js";
import { at } from "./labels.js";
import { CLOSED, FLOOD, NETWORK, PAPER, SELECT, TRAFFIC, font } from "./palette.js";
import { alarmOf, assets, depthLevel, peek, replayAt, replayDepths, selected } from "./state.js";
import * as symbols from "./symbols.js";
import { cm } from "./words.js";

const NEAR = 1.7; // zooms in from the whole city, from which details are drawn
const MIDDLE = 0.7;
const SHOWN_M = 0.03; // less water than that on a street is wet asphalt

export class Overlay {
  constructor(site, view) {
    this.site = site;
    this.view = view;
    this.hits = [];
    this.segments = new Map(site.segments.map((s) => [s.id, s]));
    this.streetGauge = new Map(site.gauges.filter((g) => g.kind === "street").map((g) => [g.segment, g.id]));
    this.pumpsOf = new Map(site.stations.map((s) => [s.id, site.pumps.filter((p) => p.station === s.id)]));
    const nodeAt = new Map(site.nodes.map((n) => [n.id, n.at]));
    this.reaches = site.conduits.map(({ kind, from_node, to_node, bends }) => (
      { kind, line: [nodeAt.get(from_node), ...bends, nodeAt.get(to_node)] }));
  }

  draw(c, lit, hovered) {
    this.hits = [];
    this.plates = new Map();
    this.drawNetwork(c);
    const wet = this.drawWater(c);
    this.drawChosen(c, selected.value, SELECT, 3);
    if (hovered && hovered !== selected.value) this.drawChosen(c, hovered, "rgba(15, 63, 99, 0.55)", 2);
    this.drawAssets(c);
    this.drawDepths(c, wet);
    this.drawAlarms(c, lit);
  }

  // The asset nearest to a point of the screen, if one is there.
  hit(x, y, slack = 4) {
    let best = null;
    for (const hit of this.hits) {
      const distance = Math.hypot(hit.x - x, hit.y - y) - hit.r;
      if (distance <= slack && (!best || distance - hit.weight < best.score)) {
        best = { id: hit.id, score: distance - hit.weight };
      }
    }
    return best?.id ?? this.hitRoad(x, y) ?? "";
  }

  hitRoad(x, y) {
    let best = null;
    for (const segment of this.site.segments) {
      const reach = roadWidthPx(segment, this.view) / 2 + 3;
      const points = segment.line.map((p) => this.view.project(...p));
      for (let i = 1; i < points.length; i += 1) {
        const distance = toLine(x, y, points[i - 1], points[i]);
        if (distance < reach && (!best || distance < best.distance)) best = { id: segment.id, distance };
      }
    }
    return best?.id;
  }

  seen(x, y, margin = 40) {
    return x > -margin && y > -margin && x < this.view.width + margin && y < this.view.height + margin;
  }

  // A whole city on a phone: only what matters most is drawn.
  get crowded() {
    return this.view.width < 600 && this.view.depth < MIDDLE;
  }

  put(id, x, y, r, weight = 0) {
    this.hits.push({ id, x, y, r, weight });
  }

  // --- roads --------------------------------------------------------------------------------------

  drawRoads(c) {
    const rows = peek("segments");
    c.lineCap = "round";
    c.lineJoin = "round";
    for (const segment of this.site.segments) {
      const row = rows[segment.id];
      if (!row) continue;
      const level = replayAt.value ? 0 : row.congestion;
      const depth = this.depthOf(segment.id, row);
      const flood = depth === null ? 0 : depthLevel(depth);
      const width = roadWidthPx(segment, this.view);
      if (flood > 0) {
        trace(c, segment.line, this.view);
        c.strokeStyle = `${FLOOD[flood]}66`;
        c.lineWidth = width + 7;
        c.stroke();
      }
      if (level > 0) {
        trace(c, segment.line, this.view);
        c.strokeStyle = TRAFFIC[level];
        c.lineWidth = Math.max(3, Math.min(width * 0.62, 9));
        c.stroke();
      }
      if (flood === 0 && !replayAt.value) this.drawExpected(c, segment, width);
      if (row.closure && !replayAt.value) this.drawClosed(c, segment, row.closure === "proposed", width);
    }
  }

  // Water to come on a street that is dry: dots in the colour of its expected peak.
  drawExpected(c, segment, width) {
    const outlook = peek("outlooks")[segment.id];
    if (!outlook?.level) return;
    const level = Math.max(1, depthLevel(outlook.peak));
    trace(c, segment.line, this.view);
    c.strokeStyle = outlook.level > 1 ? FLOOD[level] : `${FLOOD[level]}88`;
    c.lineWidth = Math.min(width + 5, 11);
    c.setLineDash([1, 11]);
    c.stroke();
    c.setLineDash([]);
  }

  drawClosed(c, segment, proposed, width) {
    trace(c, segment.line, this.view);
    c.strokeStyle = proposed ? "rgba(255, 255, 255, 0.9)" : PAPER;
    c.lineWidth = Math.min(width, 8) + 2;
    c.stroke();
    trace(c, segment.line, this.view);
    c.strokeStyle = CLOSED;
    c.lineWidth = Math.min(width, 8) - 1;
    c.setLineDash(proposed ? [2, 9] : [9, 7]);
    c.stroke();
    c.setLineDash([]);
    if (proposed) return;
    const points = segment.line.map((p) => this.view.project(...p));
    const length = points.slice(1).reduce((sum, p, i) => sum + Math.hypot(p[0] - points[i][0], p[1] - points[i][1]), 0);
    for (const share of [0.08, 0.92]) {
      const p = at(points, length * share);
      symbols.closure(c, p.x, p.y, 6.5);
    }
  }

  // --- water --------------------------------------------------------------------------------------

  depthOf(id, row) {
    return replayAt.value ? (replayDepths.value?.get(id) ?? null) : row.depth_m;
  }

  drawWater(c) {
    const rows = peek("segments");
    const forecasts = peek("forecasts");
    const wet = [];
    for (const [id, gauge] of this.streetGauge) {
      const row = rows[id];
      const segment = this.segments.get(id);
      if (!row || !segment) continue;
      const [x, y] = this.view.project(...segment.low_point);
      if (!this.seen(x, y, 90)) continue;
      const depth = this.depthOf(id, row);
      if (depth !== null && depth >= SHOWN_M) {
        const forecast = replayAt.value ? null : forecasts[gauge + "/depth_m"];
        wet.push({ id, x, y, depth, forecast });
      } else if (!this.crowded) {
        symbols.gauge(c, x, y, this.view.depth > MIDDLE ? 5.5 : 4, "street", depth !== null);
        this.put(gauge, x, y, 7);
      }
    }
    wet.sort((a, b) => a.depth - b.depth);
    const grown = 2 ** (Math.min(this.view.depth, 3) * 0.4) * Math.min(1, Math.max(0.62, this.view.height / 900));
    for (const w of wet) {
      w.level = depthLevel(w.depth);
      w.r = (12 + Math.min(w.depth * 100, 80) * 0.95) * grown;
      c.beginPath();
      c.arc(w.x, w.y, w.r, 0, 2 * Math.PI);
      c.fillStyle = `${FLOOD[w.level]}${w.level ? "55" : "40"}`;
      c.fill();
      c.strokeStyle = FLOOD[w.level];
      c.lineWidth = w.level ? 2.5 : 1.5;
      c.stroke();
    }
    return wet;
  }

  // The depths in figures; the deeper first, each moved off the ones before it.
  drawDepths(c, wet) {
    const placed = [];
    for (const w of wet.toReversed()) {
      let y = w.y;
      for (const shift of [0, 24, -24, 48, -48, 72]) {
        y = w.y + shift;
        if (!placed.some((p) => Math.abs(p.x - w.x) < 64 && Math.abs(p.y - y) < 24)) break;
      }
      placed.push({ x: w.x, y });
      this.plates.set(w.id, [w.x - 40, y]);
      symbols.plate(c, `${cm(w.depth)} cm`, w.x, y, FLOOD[w.level], this.rising(w));
      this.put(w.id, w.x, y, 24, 12);
      this.put(w.id, w.x, w.y, w.r * 0.8, 2);
    }
  }

  // The forecast's word where it is of a higher level than what is.
  rising(w) {
    if (!w.forecast?.v?.length) return "";
    const worst = Math.max(...w.forecast.v);
    if (depthLevel(worst) <= w.level) return "";
    const lead = w.forecast.lead_s[w.forecast.v.indexOf(worst)];
    return `▲ ${cm(worst)} cm · ${Math.round(lead / 60)}′`;
  }

  // --- drainage -----------------------------------------------------------------------------------

  // Catchments, reaches and nodes, from closer than the whole city; always where there are no roads to see.
  drawNetwork(c) {
    const { view, site } = this;
    if (site.segments.length && view.depth <= MIDDLE) return;
    c.setLineDash([2, 3]);
    c.strokeStyle = NETWORK;
    c.lineWidth = 0.8;
    for (const { outline } of site.catchments) {
      if (!outline.length || !this.seen(...view.project(...outline[0]), 400)) continue;
      trace(c, [...outline, outline[0]], view);
      c.stroke();
    }
    c.setLineDash([]);
    for (const { kind, line } of this.reaches) {
      const ends = [line[0], line.at(-1)].map((p) => view.project(...p));
      if (!ends.some((p) => this.seen(...p, 400))) continue;
      trace(c, line, view);
      c.lineWidth = kind === "canal" ? 2.2 : 1.2;
      c.stroke();
      if (kind !== "sewer" && kind !== "canal") {
        symbols.passage(c, (ends[0][0] + ends[1][0]) / 2, (ends[0][1] + ends[1][1]) / 2, 4, kind, NETWORK);
      }
    }
    for (const { at: place, kind } of site.nodes) {
      const [x, y] = view.project(...place);
      if (this.seen(x, y)) symbols.node(c, x, y, kind === "manhole" ? 1.8 : 3.2, kind, NETWORK);
    }
  }

  // --- assets -------------------------------------------------------------------------------------

  drawAssets(c) {
    const { view, site } = this;
    const near = view.depth > NEAR;
    const middle = view.depth > MIDDLE;
    const live = !replayAt.value;
    if (near) for (const circuit of site.circuits) this.drawCircuit(c, circuit);
    for (const junction of site.junctions) this.drawSignal(c, junction, near && live, middle);
    for (const camera of site.cameras) {
      const [x, y] = view.project(...camera.at);
      if (!this.seen(x, y)) continue;
      const row = peek("cameras")[camera.id];
      symbols.camera(c, x, y, middle ? 6.5 : 5.2, camera.bearing_deg, row?.health === "ok", middle);
      this.put(camera.id, x, y, 8, 3);
    }
    for (const gauge of site.gauges) {
      const minor = gauge.kind === "sewer" ? !middle : gauge.kind !== "tide" && this.crowded;
      if (gauge.kind === "street" || minor) continue;
      const [x, y] = view.project(...gauge.at);
      if (!this.seen(x, y)) continue;
      const point = peek("points")[`${gauge.id}/${gauge.quantities[0]}`];
      symbols.gauge(c, x, y, gauge.kind === "tide" ? 7.5 : 5.5, gauge.kind, point !== undefined && point.q < 2);
      this.put(gauge.id, x, y, 8, 3);
    }
    for (const sign of site.signs) {
      const [x, y] = view.project(...sign.at);
      if (!this.seen(x, y)) continue;
      symbols.sign(c, x, y, middle ? 6 : 5, Boolean(peek("signs")[sign.id]?.text));
      this.put(sign.id, x, y, 9, 3);
    }
    this.drawPlants(c);
  }

  drawPlants(c) {
    for (const station of this.site.stations) {
      const [x, y] = this.view.project(...station.at);
      const pumps = this.pumpsOf.get(station.id);
      const running = pumps.filter((p) => peek("pumps")[p.id]?.running).length;
      const now = !replayAt.value;
      symbols.station(c, x, y, 9, now && running > 0, now ? `${running}/${pumps.length}` : "");
      this.put(station.id, x, y, 12, 4);
    }
    for (const gate of this.site.gates) {
      const [x, y] = this.view.project(...gate.at);
      symbols.gate(c, x, y, 8, peek("gates")[gate.id]?.opening);
      this.put(gate.id, x, y, 11, 4);
    }
  }

  drawCircuit(c, circuit) {
    const [x, y] = this.view.project(...circuit.at);
    if (!this.seen(x, y)) return;
    const level = peek("circuits")[circuit.id]?.level_ratio;
    c.beginPath();
    c.arc(x, y, 3, 0, 2 * Math.PI);
    c.fillStyle = level ? PAPER : "#a8aeb2";
    c.fill();
    c.strokeStyle = "#6d757b";
    c.lineWidth = 1;
    c.stroke();
    this.put(circuit.id, x, y, 5);
  }

  drawSignal(c, junction, near, middle) {
    const [x, y] = this.view.project(...junction.at);
    if (!this.seen(x, y)) return;
    const row = peek("signals")[junction.id];
    const known = row !== undefined && row.interval !== "unknown";
    if (near && known) this.drawApproaches(c, junction, row, x, y);
    symbols.signal(c, x, y, near ? 6 : middle ? 5 : 3.6, known);
    this.put(junction.id, x, y, near ? 12 : 6, 2);
  }

  // Each approach's aspect as an arrow to the junction: open and white is green, a dark bar is red.
  drawApproaches(c, junction, row, x, y) {
    junction.group.forEach((group, i) => {
      const from = this.approach(junction, group, x, y);
      if (from === null) return;
      const aspect = row.aspects[i];
      c.save();
      c.translate(x, y);
      c.rotate(from);
      c.translate(22, 0);
      c.beginPath();
      if (aspect === "G" || aspect === "y") {
        c.moveTo(-9, 0);
        c.lineTo(3, -6.5);
        c.lineTo(3, -2.5);
        c.lineTo(12, -2.5);
        c.lineTo(12, 2.5);
        c.lineTo(3, 2.5);
        c.lineTo(3, 6.5);
        c.closePath();
        c.fillStyle = aspect === "G" ? PAPER : "#9aa1a6";
        c.fill();
        c.strokeStyle = "#23292e";
        c.lineWidth = 1.4;
        c.stroke();
      } else {
        c.rect(-6, -7, 4, 14);
        c.fillStyle = "#23292e";
        c.fill();
      }
      c.restore();
    });
  }

  approach(junction, group, x, y) {
    const segment = this.segments.get(group.segment);
    if (!segment) return null;
    const points = segment.line.map((p) => this.view.project(...p));
    const first = Math.hypot(points[0][0] - x, points[0][1] - y);
    const last = Math.hypot(points.at(-1)[0] - x, points.at(-1)[1] - y);
    const outward = first < last ? points : points.toReversed();
    const p = at(outward, 30);
    return Math.atan2(p.y - y, p.x - x);
  }

  // --- alarms and the selection -------------------------------------------------------------------

  drawAlarms(c, lit) {
    if (replayAt.value) return;
    for (const [id, alarm] of [...alarmOf.value].sort((a, b) => b[1].priority - a[1].priority)) {
      const asset = assets.value.get(id);
      if (!asset?.at) continue;
      let [x, y] = this.view.project(...asset.at);
      if (!this.seen(x, y)) continue;
      [x, y] = this.plates.get(id) ?? [x + 10, y - 10];
      symbols.badge(c, x, y, alarm.priority, alarm.state !== "ack", lit);
      this.put(id, x, y, 9, 8);
    }
  }

  drawChosen(c, id, ink, width) {
    const asset = assets.value.get(id);
    if (!asset?.at) return;
    if (asset.kind === "segment") {
      trace(c, asset.thing.line, this.view);
      c.strokeStyle = ink;
      c.lineWidth = width;
      c.stroke();
      return;
    }
    const [x, y] = this.view.project(...asset.at);
    c.beginPath();
    c.arc(x, y, 17, 0, 2 * Math.PI);
    c.strokeStyle = ink;
    c.lineWidth = width;
    c.stroke();
    c.font = font(12, 600);
    c.textAlign = "center";
    c.textBaseline = "top";
    symbols.haloed(c, asset.name, x, y + 21);
  }
}

function toLine(x, y, [x0, y0], [x1, y1]) {
  const length2 = (x1 - x0) ** 2 + (y1 - y0) ** 2;
  const share = length2 ? Math.min(1, Math.max(0, ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length2)) : 0;
  return Math.hypot(x - (x0 + share * (x1 - x0)), y - (y0 + share * (y1 - y0)));
}
