// Draws what never changes: land, water, roads. By MapLibre where there is WebGL, else on a canvas of its own,
// from the same data with the same colours and widths. Nothing is fetched: the city comes from the site.
import { Map as GlMap } from "maplibre-gl";

export const INK = {
  land: "#d2d5d7",
  water: "#a9bac6",
  waterEdge: "#9aadba",
  casing: "#b9bec2",
  road: { expressway: "#fbfbfb", primary: "#f7f8f8", secondary: "#eef0f0", tertiary: "#e5e8e8" },
};
const LANE_M = 3.3;
const PX_MIN = { expressway: 8, primary: 6.5, secondary: 4.6, tertiary: 3 };
const ORDER = { tertiary: 0, secondary: 1, primary: 2, expressway: 3 };

export const roadWidthM = (segment) => segment.lanes * LANE_M * (segment.one_way ? 1 : 2);
// Pixels: true to scale when near, never thinner than the class asks when far.
export const roadWidthPx = (segment, view) =>
  Math.max(PX_MIN[segment.road_class] * Math.min(1.6, 2 ** (view.depth * 0.35)), roadWidthM(segment) * view.pxPerM);

// Water has no corners: each is cut off twice (Chaikin 1974).
function flowing(water) {
  const closed = water.width_m === 0;
  let line = water.line;
  for (let pass = 0; pass < 2; pass += 1) {
    const cut = closed ? [] : [line[0]];
    for (let i = 0; i < line.length - (closed ? 0 : 1); i += 1) {
      const [a, b] = [line[i], line[(i + 1) % line.length]];
      const between = (share) => [a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share];
      cut.push(between(0.25), between(0.75));
    }
    if (!closed) cut.push(line.at(-1));
    line = cut;
  }
  return { ...water, line };
}

export function webglWorks() {
  try {
    const canvas = document.createElement("canvas");
    const gl = canvas.getContext("webgl2");
    if (!gl) return false;
    gl.getExtension("WEBGL_lose_context")?.loseContext();
    return true;
  } catch {
    return false;
  }
}

// --- MapLibre -------------------------------------------------------------------------------------

const feature = (type, coordinates, properties) => ({ type: "Feature", geometry: { type, coordinates }, properties });

function style(site, view) {
  const waters = site.waters.map(flowing);
  const areas = waters.filter((w) => w.width_m === 0);
  const lines = waters.filter((w) => w.width_m > 0);
  const source = (features) => ({ type: "geojson", data: { type: "FeatureCollection", features }, tolerance: 0.2 });
  // metres to pixels doubles with each zoom: two stops of an exponential say it exactly
  const pxPerM = (zoom) => (view.pxPerM / 2 ** view.zoom) * 2 ** zoom;
  const metres = (property, extra = 0) => [
    "interpolate", ["exponential", 2], ["zoom"],
    10, ["+", extra, ["*", ["get", property], pxPerM(10)]],
    20, ["+", extra, ["*", ["get", property], pxPerM(20)]],
  ];
  const home = view.home.zoom;
  // the larger of the class's own width and the true one, at steps of a zoom
  const road = (extra) => {
    const stops = [];
    for (let zoom = Math.floor(home) - 1; zoom <= 19; zoom += 0.5) {
      const grown = Math.min(1.6, 2 ** ((zoom - home) * 0.35));
      stops.push(zoom, ["+", extra, ["max", ["*", ["get", "px"], grown], ["*", ["get", "m"], pxPerM(zoom)]]]);
    }
    return ["interpolate", ["linear"], ["zoom"], ...stops];
  };
  return {
    version: 8,
    sources: {
      areas: source(areas.map((w) => feature("Polygon", [[...w.line, w.line[0]]], {}))),
      lines: source(lines.map((w) => feature("LineString", w.line, { m: w.width_m }))),
      roads: source(
        site.segments.map((s) =>
          feature("LineString", s.line, {
            m: roadWidthM(s), px: PX_MIN[s.road_class], order: ORDER[s.road_class], ink: INK.road[s.road_class],
          })),
      ),
    },
    layers: [
      { id: "land", type: "background", paint: { "background-color": INK.land } },
      { id: "areas", type: "fill", source: "areas", paint: { "fill-color": INK.water } },
      { id: "area-edges", type: "line", source: "areas", paint: { "line-color": INK.waterEdge, "line-width": 1 } },
      {
        id: "lines", type: "line", source: "lines", layout: { "line-cap": "round", "line-join": "round" },
        paint: { "line-color": INK.water, "line-width": metres("m", 2) },
      },
      {
        id: "casings", type: "line", source: "roads", layout: { "line-cap": "round", "line-join": "round" },
        paint: { "line-color": INK.casing, "line-width": road(1.6) },
      },
      {
        id: "roads", type: "line", source: "roads",
        layout: { "line-cap": "round", "line-join": "round", "line-sort-key": ["get", "order"] },
        paint: { "line-color": ["get", "ink"], "line-width": road(0) },
      },
    ],
  };
}

class GlBase {
  constructor(container, site, view) {
    this.map = new GlMap({
      container,
      style: style(site, view),
      center: view.center,
      zoom: view.zoom,
      interactive: false,
      attributionControl: false,
      fadeDuration: 0,
      renderWorldCopies: false,
      trackResize: false,
      canvasContextAttributes: { antialias: true },
    });
  }

  show(view) {
    this.map.jumpTo({ center: view.center, zoom: view.zoom });
  }

  resize() {
    this.map.resize();
  }

  remove() {
    this.map.remove();
  }
}

// --- canvas ---------------------------------------------------------------------------------------

export class CanvasBase {
  constructor(container, site) {
    this.canvas = document.createElement("canvas");
    this.canvas.className = "layer";
    container.replaceChildren(this.canvas);
    this.waters = site.waters.map(flowing);
    this.segments = [...site.segments].sort((a, b) => ORDER[a.road_class] - ORDER[b.road_class]);
  }

  resize(view) {
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.round(view.width * ratio);
    this.canvas.height = Math.round(view.height * ratio);
    this.show(view);
  }

  show(view) {
    const ratio = devicePixelRatio || 1;
    const c = this.canvas.getContext("2d");
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.fillStyle = INK.land;
    c.fillRect(0, 0, view.width, view.height);
    c.lineCap = c.lineJoin = "round";
    for (const water of this.waters) {
      trace(c, water.line, view);
      if (water.width_m === 0) {
        c.closePath();
        c.fillStyle = INK.water;
        c.fill();
        c.strokeStyle = INK.waterEdge;
        c.lineWidth = 1;
      } else {
        c.strokeStyle = INK.water;
        c.lineWidth = water.width_m * view.pxPerM + 2;
      }
      c.stroke();
    }
    for (const [extra, ink] of [[1.6, () => INK.casing], [0, (s) => INK.road[s.road_class]]]) {
      for (const segment of this.segments) {
        trace(c, segment.line, view);
        c.strokeStyle = ink(segment);
        c.lineWidth = roadWidthPx(segment, view) + extra;
        c.stroke();
      }
    }
  }

  remove() {
    this.canvas.remove();
  }
}

export function trace(c, line, view) {
  c.beginPath();
  line.forEach(([lon, lat], i) => {
    const [x, y] = view.project(lon, lat);
    if (i) c.lineTo(x, y);
    else c.moveTo(x, y);
  });
}

// The base for this browser; falls back to the canvas where WebGL is missing, fails or is lost (`changed` tells).
export function openBase(container, site, view, changed) {
  const base = { now: null };
  const useCanvas = () => {
    base.now?.remove();
    base.now = new CanvasBase(container, site);
    container.dataset.base = "canvas";
    base.now.resize(view);
  };
  const fallBack = () => {
    if (container.dataset.base === "canvas") return;
    useCanvas();
    changed();
  };
  try {
    if (!webglWorks()) throw new Error("no WebGL");
    base.now = new GlBase(container, site, view);
    container.dataset.base = "maplibre";
    base.now.map.on("error", fallBack);
    base.now.map.on("webglcontextlost", fallBack);
  } catch {
    useCanvas();
  }
  return base;
}
