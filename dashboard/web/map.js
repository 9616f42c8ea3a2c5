// The map: base, names and overlay on one view; moved by pointer, wheel, touch and keys.
import { effect } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { openBase } from "./base.js";
import { html } from "./html.js";
import { drawLabels, streets } from "./labels.js";
import { Overlay } from "./overlay.js";
import {
  TABLES, alarmOf, alarmList, assetOf, drawer, goTo, peek, replayAt, replayDepths, rows, selected, selectedAlarm, site, stale,
  standing,
} from "./state.js";
import { View, boundsOf } from "./view.js";
import { clock, cm, language, num, t } from "./words.js";

const BLINK_MS = 600;
const CLICK_PX = 5;
const NEAR_ZOOMS = 1.8; // in from the whole city: an asset and its street
const calm = matchMedia("(prefers-reduced-motion: reduce)");

// The map's working parts, outside of the components: made once.
class CityMap {
  constructor(box, hover) {
    this.box = box;
    this.hover = hover;
    this.view = new View();
    this.base = openBase(box.querySelector(".base"), site.value, this.start(), () => this.moved());
    this.roads = box.querySelector(".roads");
    this.names = box.querySelector(".names");
    this.live = box.querySelector(".live");
    this.streets = streets(site.value);
    this.overlay = new Overlay(site.value, this.view);
    this.hovered = "";
    this.lit = true;
    this.pending = 0;
    this.pointers = new Map();
    this.watch();
    this.resize();
  }

  start() {
    this.view.resize(this.box.clientWidth, this.box.clientHeight);
    this.view.fit(boundsOf(site.value));
    return this.view;
  }

  watch() {
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.box);
    this.blinking = setInterval(() => {
      const waiting = standing.value.some((a) => a.state !== "ack");
      this.lit = calm.matches || !this.lit;
      if (waiting) this.redraw();
    }, BLINK_MS);
    const shown = TABLES.filter((name) => !["commands", "sources", "status", "incidents"].includes(name));
    this.stopDrawing = effect(() => {
      shown.forEach(rows);
      [alarmOf, selected, replayAt, replayDepths, stale, language].forEach((s) => s.value);
      this.redraw();
    });
    this.stopGoing = effect(() => {
      if (goTo.value) this.goTo(goTo.value);
    });
    this.listen("pointerdown", (e) => this.press(e));
    this.listen("pointermove", (e) => this.drag(e));
    this.listen("pointerup", (e) => this.release(e));
    this.listen("pointercancel", (e) => this.pointers.delete(e.pointerId));
    this.listen("pointerleave", () => this.point(""));
    this.listen("wheel", (e) => this.wheel(e), { passive: false });
    this.listen("keydown", (e) => this.key(e));
  }

  listen(name, handler, options) {
    this.live.addEventListener(name, handler, options);
  }

  stop() {
    this.observer.disconnect();
    clearInterval(this.blinking);
    this.stopDrawing();
    this.stopGoing();
    this.base.now?.remove();
  }

  resize() {
    const ratio = devicePixelRatio || 1;
    this.view.resize(this.box.clientWidth, this.box.clientHeight);
    for (const canvas of [this.roads, this.names, this.live]) {
      canvas.width = Math.round(this.view.width * ratio);
      canvas.height = Math.round(this.view.height * ratio);
    }
    this.base.now.resize(this.view);
    this.moved();
  }

  goTo({ at, zoom: wanted, near }) {
    const zoom = near ? Math.max(this.view.zoom, this.view.home.zoom + NEAR_ZOOMS) : wanted;
    const [x, y] = this.view.project(...at);
    const { width, height } = this.view;
    const inside = x > width * 0.18 && x < width * 0.82 && y > height * 0.15 && y < height * 0.85;
    if (inside && !zoom) return this.redraw();
    this.view.goTo(at, zoom ?? this.view.zoom);
    this.moved();
  }

  moved() {
    this.base.now?.show(this.view);
    this.namesDue = true;
    this.redraw();
  }

  redraw() {
    this.pending ||= requestAnimationFrame(() => {
      this.pending = 0;
      if (this.namesDue) this.drawNames();
      this.overlay.drawRoads(clean(this.roads, this.view));
      this.overlay.draw(clean(this.live, this.view), this.lit, this.hovered);
    });
  }

  drawNames() {
    this.namesDue = false;
    drawLabels(clean(this.names, this.view), site.value, this.streets, this.view);
  }

  // --- by hand ------------------------------------------------------------------------------------

  place(event) {
    const box = this.live.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  press(event) {
    this.live.setPointerCapture(event.pointerId);
    const [x, y] = this.place(event);
    this.pointers.set(event.pointerId, { x, y, x0: x, y0: y });
  }

  drag(event) {
    const [x, y] = this.place(event);
    const held = this.pointers.get(event.pointerId);
    if (!held) {
      this.point(event.pointerType === "mouse" ? this.overlay.hit(x, y) : "", x, y);
      return;
    }
    const others = [...this.pointers.entries()].filter(([id]) => id !== event.pointerId);
    if (others.length) {
      const other = others[0][1];
      const before = Math.hypot(held.x - other.x, held.y - other.y);
      const after = Math.hypot(x - other.x, y - other.y);
      if (before > 0 && after > 0) {
        this.view.zoomAt((x + other.x) / 2, (y + other.y) / 2, Math.log2(after / before));
      }
      this.view.moveBy((x - held.x) / 2, (y - held.y) / 2);
      held.pinched = other.pinched = true;
      this.moved();
    } else if (Math.hypot(x - held.x0, y - held.y0) > CLICK_PX || held.dragged) {
      this.view.moveBy(x - held.x, y - held.y);
      held.dragged = true;
      this.moved();
    }
    Object.assign(held, { x, y });
  }

  release(event) {
    const held = this.pointers.get(event.pointerId);
    this.pointers.delete(event.pointerId);
    if (!held || held.dragged || held.pinched) return;
    this.choose(this.overlay.hit(held.x, held.y, event.pointerType === "mouse" ? 4 : 14));
  }

  choose(id) {
    selected.value = id;
    const alarm = id ? alarmList.value.find((a) => a.asset === id) : null;
    if (alarm) selectedAlarm.value = alarm.tag;
  }

  wheel(event) {
    event.preventDefault();
    const [x, y] = this.place(event);
    const lines = event.deltaMode === 1 ? 30 : 1;
    this.view.zoomAt(x, y, Math.max(-0.6, Math.min(0.6, (-event.deltaY * lines) / 320)));
    this.moved();
  }

  point(id, x = 0, y = 0) {
    if (id !== this.hovered) {
      this.hovered = id;
      this.redraw();
    }
    this.live.style.cursor = id ? "pointer" : "";
    this.hover(id ? { id, x, y } : null);
  }

  zoom(by) {
    this.view.zoomAt(this.view.width / 2, this.view.height / 2, by);
    this.moved();
  }

  whole() {
    this.view.goHome();
    this.moved();
  }

  key(event) {
    const step = 80;
    const moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    const move = moves[event.key];
    if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
    this.view.moveBy(...move);
    this.moved();
    event.preventDefault();
    event.stopPropagation();
  }
}

function clean(canvas, view) {
  const ratio = devicePixelRatio || 1;
  const c = canvas.getContext("2d");
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  c.clearRect(0, 0, view.width, view.height);
  return c;
}

let cityMap = null;
export const zoomMap = (by) => cityMap?.zoom(by);
export const wholeCity = () => cityMap?.whole();
export const mapView = () => cityMap?.view ?? null;

export function MapPane() {
  const box = useRef(null);
  const [hovered, hover] = useState(null);
  useEffect(() => {
    cityMap = new CityMap(box.current, hover);
    return () => {
      cityMap.stop();
      cityMap = null;
    };
  }, []);
  return html`
    <div class="map ${drawer.value ? "with-drawer" : ""}" ref=${box}>
      <div class="base layer"></div>
      <canvas class="roads layer"></canvas>
      <canvas class="names layer"></canvas>
      <canvas class="live layer" tabindex="0" role="application" aria-label=${t("mapHelp")}></canvas>
      <div class="zoom">
        <button onClick=${() => zoomMap(0.7)} title="+" aria-label="+">+</button>
        <button onClick=${() => zoomMap(-0.7)} title="−" aria-label="−">−</button>
        <button onClick=${wholeCity} title="0" aria-label="0">⌂</button>
      </div>
      ${hovered && html`<${Hint} ...${hovered} />`}
      <div class="credit">${site.value.credit}</div>
    </div>
  `;
}

function Hint({ id, x, y }) {
  const asset = assetOf(id);
  if (!asset) return null;
  const flip = x > (mapView()?.width ?? 0) - 260;
  return html`
    <div class="hint" style=${{ left: `${flip ? x - 14 : x + 14}px`, top: `${y + 14}px`, transform: flip ? "translateX(-100%)" : "" }}>
      <b>${asset.name}</b>
      <span class="soft">${kindWord(asset)} · ${id}</span>
      <span>${inBrief(asset)}</span>
    </div>
  `;
}

export const kindWord = (asset) => t(asset.kind === "gauge" ? `gauge_${asset.thing.kind}` : asset.kind);

// An asset in a few words: what its symbol cannot say.
export function inBrief(asset) {
  const row = (table) => peek(table)[asset.id] ?? {};
  switch (asset.kind) {
    case "segment": {
      const { depth_m, level, congestion } = row("segments");
      const water = depth_m === null || depth_m === undefined ? "" : `${cm(depth_m)} cm (${t(`flood${level}`)}) · `;
      return `${water}${t(`traffic${congestion ?? 0}`)}`;
    }
    case "signal": {
      const { stage, interval, mode } = row("signals");
      return `${t("stage")} ${stage || "–"} · ${t(interval === "dark" ? "darkSignal" : interval)} · ${t(mode)}`;
    }
    case "camera": {
      const { health, incident } = row("cameras");
      return `${t(health === "lost" ? "lostCamera" : health)}${incident ? ` · ${t(incident)}` : ""}`;
    }
    case "gauge":
      return asset.thing.quantities
        .map((q) => `${asset.id}/${q}`)
        .map((p) => `${num(peek("points")[p]?.v, 2)} ${site.value.points[p].unit} · ${clock(peek("points")[p]?.at)}`)
        .join(" · ");
    case "station": {
      const pumps = site.value.pumps.filter((p) => p.station === asset.id);
      const running = pumps.filter((p) => peek("pumps")[p.id]?.running).length;
      return `${running}/${pumps.length} ${t("running")} · ${t("sump")} ${num(row("stations").sump_m, 2)} m`;
    }
    case "gate": {
      const { opening, inside_m, outside_m } = row("gates");
      const share = opening === null || opening === undefined ? "–" : num(opening * 100);
      return `${t("opening")} ${share} % · ${num(outside_m, 2)} / ${num(inside_m, 2)} m`;
    }
    case "sign":
      return row("signs").text || t("blank");
    case "circuit": {
      const level = row("circuits").level_ratio;
      return level === null || level === undefined ? "–" : `${num(level * 100)} %`;
    }
    default:
      return "";
  }
}
