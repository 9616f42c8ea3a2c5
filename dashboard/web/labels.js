// Writes names on the map: districts and rivers where they stand, streets along their line, none over another.
import { FAINT, HALO, SOFT, TEXT, font } from "./palette.js";

const CLASS_DEPTH = { expressway: 0, primary: 0, secondary: 0, tertiary: 0.6 }; // zooms in from the whole city
const REPEAT_PX = 460;
const CLASS_ORDER = { expressway: 0, primary: 1, secondary: 2, tertiary: 3 };

// Streets of one name joined into long lines, so that a name has room to run.
export function streets(site) {
  const byName = new Map();
  for (const segment of site.segments) {
    const key = `${segment.name}|${segment.road_class}`;
    if (!byName.has(key)) byName.set(key, []);
    byName.get(key).push(segment);
  }
  const joined = [];
  for (const segments of byName.values()) {
    const rest = segments.map((s) => s.line.map((p) => [...p]));
    while (rest.length) {
      let line = rest.pop();
      for (let found = true; found; ) {
        found = false;
        for (let i = 0; i < rest.length && !found; i += 1) {
          const other = rest[i];
          const met = meet(line, other);
          if (met) {
            line = met;
            rest.splice(i, 1);
            found = true;
          }
        }
      }
      joined.push({ name: segments[0].name, road_class: segments[0].road_class, segment: segments[0], line });
    }
  }
  return joined.sort((a, b) => CLASS_ORDER[a.road_class] - CLASS_ORDER[b.road_class] || b.line.length - a.line.length);
}

const same = (a, b) => Math.abs(a[0] - b[0]) < 1e-6 && Math.abs(a[1] - b[1]) < 1e-6;

function meet(a, b) {
  if (same(a.at(-1), b[0])) return [...a, ...b.slice(1)];
  if (same(a.at(-1), b.at(-1))) return [...a, ...b.toReversed().slice(1)];
  if (same(a[0], b.at(-1))) return [...b, ...a.slice(1)];
  if (same(a[0], b[0])) return [...b.toReversed(), ...a.slice(1)];
  return null;
}

class Room {
  constructor() {
    this.taken = [];
  }

  free(x, y, halfWidth, halfHeight) {
    return !this.taken.some(
      (b) => x - halfWidth < b[2] && x + halfWidth > b[0] && y - halfHeight < b[3] && y + halfHeight > b[1],
    );
  }

  take(x, y, halfWidth, halfHeight) {
    this.taken.push([x - halfWidth, y - halfHeight, x + halfWidth, y + halfHeight]);
  }
}

function write(c, text, ink, halo = HALO, width = 3.5) {
  c.strokeStyle = halo;
  c.lineWidth = width;
  c.lineJoin = "round";
  c.strokeText(text, 0, 0);
  c.fillStyle = ink;
  c.fillText(text, 0, 0);
}

export function drawLabels(c, site, roads, view) {
  const room = new Room();
  c.textAlign = "center";
  c.textBaseline = "middle";
  for (const place of [...site.places].sort((a, b) => a.rank - b.rank)) drawPlace(c, place, view, room);
  for (const road of roads) {
    if (view.depth >= CLASS_DEPTH[road.road_class]) drawStreet(c, road, view, room);
  }
}

function drawPlace(c, place, view, room) {
  if (place.rank > 2 && view.depth < 0.8) return;
  const [x, y] = view.project(...place.at);
  if (x < -80 || y < -20 || x > view.width + 80 || y > view.height + 20) return;
  const water = /^(Sông|Rạch|Kênh|Kinh)\b/u.test(place.name);
  const px = place.rank === 1 ? 14 : 12.5;
  c.font = water ? `italic ${font(px)}` : font(px, place.rank === 1 ? 500 : 400);
  const halfWidth = c.measureText(place.name).width / 2 + 6;
  if (!room.free(x, y, halfWidth, px)) return;
  room.take(x, y, halfWidth, px);
  c.save();
  c.translate(x, y);
  if (water) write(c, place.name, "#4d6a7e", "rgba(169, 186, 198, 0.85)");
  else write(c, place.name, place.rank === 1 ? SOFT : FAINT);
  c.restore();
}

// A street's name letter by letter along its line, where the line is straight enough and long enough.
function drawStreet(c, road, view, room) {
  const points = road.line.map(([lon, lat]) => view.project(lon, lat));
  const px = Math.min(14, 11 + Math.max(0, view.depth) * 0.8);
  c.font = font(px, road.road_class === "tertiary" ? 400 : 500);
  const width = c.measureText(road.name).width;
  let length = 0;
  for (let i = 1; i < points.length; i += 1) length += Math.hypot(points[i][0] - points[i - 1][0], points[i][1] - points[i - 1][1]);
  if (length < width + 24) return;
  const count = Math.max(1, Math.floor(length / REPEAT_PX));
  for (let n = 0; n < count; n += 1) {
    const middle = (length * (n + 0.5)) / count;
    for (const shift of [0, 0.16, -0.16, 0.3, -0.3]) {
      if (alongStreet(c, points, road.name, middle + (shift * length) / count, width, px, room, view, length)) break;
    }
  }
}

function alongStreet(c, points, name, middle, width, px, room, view, length) {
  const from = middle - width / 2;
  if (from < 6 || from + width > length - 6) return false;
  const start = at(points, from);
  const stop = at(points, from + width);
  const centre = at(points, middle);
  if (centre.x < 0 || centre.y < 0 || centre.x > view.width || centre.y > view.height) return false;
  const straight = Math.hypot(stop.x - start.x, stop.y - start.y) / width;
  if (straight < 0.93) return false;
  const turned = stop.x < start.x;
  const angle = Math.atan2(stop.y - start.y, stop.x - start.x);
  const halfW = Math.abs(Math.cos(angle)) * (width / 2) + 5;
  const halfH = Math.abs(Math.sin(angle)) * (width / 2) + px * 0.7;
  // a slanted name takes little of its box: three boxes along it are closer to the truth
  const parts = [-1, 0, 1].map((k) => at(points, middle + (k * width) / 3));
  const [partW, partH] = [halfW / 3 + px * 0.35, halfH / 3 + px * 0.35];
  if (!parts.every((p) => room.free(p.x, p.y, partW, partH))) return false;
  parts.forEach((p) => room.take(p.x, p.y, partW, partH));
  const letters = [];
  let offset = 0;
  for (const letter of name) {
    const w = c.measureText(letter).width;
    const p = at(points, turned ? from + width - offset - w / 2 : from + offset + w / 2);
    letters.push([letter, p.x, p.y, p.angle + (turned ? Math.PI : 0)]);
    offset += w;
  }
  for (const pass of [0, 1]) {
    for (const [letter, x, y, turn] of letters) {
      c.save();
      c.translate(x, y);
      c.rotate(turn);
      if (pass === 0) {
        c.strokeStyle = "rgba(246, 247, 247, 0.9)";
        c.lineWidth = 3;
        c.lineJoin = "round";
        c.strokeText(letter, 0, 0);
      } else {
        c.fillStyle = TEXT;
        c.fillText(letter, 0, 0);
      }
      c.restore();
    }
  }
  return true;
}

// The point at a distance along a line of pixels, and the line's direction there.
export function at(points, distance) {
  let left = Math.max(0, distance);
  for (let i = 1; i < points.length; i += 1) {
    const [x0, y0] = points[i - 1];
    const [x1, y1] = points[i];
    const step = Math.hypot(x1 - x0, y1 - y0);
    if (left <= step || i === points.length - 1) {
      const share = step ? Math.min(1, left / step) : 0;
      return { x: x0 + (x1 - x0) * share, y: y0 + (y1 - y0) * share, angle: Math.atan2(y1 - y0, x1 - x0) };
    }
    left -= step;
  }
  return { x: 0, y: 0, angle: 0 };
}
