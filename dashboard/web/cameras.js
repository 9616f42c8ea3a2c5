// Pictures of the cameras nearest to what the operator looks at, with what the detectors see and the picture's age.
import { useEffect, useRef } from "preact/hooks";
import { html } from "./html.js";
import { PRIORITY } from "./palette.js";
import { assetOf, now, peek, rows, selected, selectedAlarm, site } from "./state.js";
import { num, span, t } from "./words.js";

const SHOWN = 3;
const OLD_S = 10;

const metres = ([lon, lat], [lon2, lat2]) =>
  Math.hypot((lon2 - lon) * 111320 * Math.cos((lat * Math.PI) / 180), (lat2 - lat) * 110574);

// The cameras for the moment: the selection's own, those nearest to it, else those that see something.
function related() {
  const alarm = rows("alarms")[selectedAlarm.value];
  const asset = assetOf(selected.value) ?? assetOf(alarm?.asset ?? "");
  const cameras = rows("cameras");
  const segments = peek("segments");
  const worth = (camera) => {
    if (asset?.at) {
      const own = camera.id === asset.id || camera.segment === asset.id ? 1e6 : 0;
      return own - metres(camera.at, asset.at);
    }
    const row = cameras[camera.id];
    return (row?.incident ? 100 : 0) + (segments[camera.segment]?.depth_m ?? 0) * 100 + (row?.health === "ok" ? 0 : -1);
  };
  const scored = site.value.cameras.map((camera) => ({ camera, score: worth(camera) }));
  return scored.sort((a, b) => b.score - a.score || (a.camera.id < b.camera.id ? -1 : 1)).slice(0, SHOWN).map((s) => s.camera);
}

export function CameraPane() {
  if (!site.value.cameras.length) return null;
  return html`
    <section class="pane cameras" aria-label=${t("camerasTitle")}>
      <h2>${t("camerasTitle")}</h2>
      <div class="tiles">
        ${related().map((camera) => html`<${CameraTile} key=${camera.id} camera=${camera} />`)}
      </div>
    </section>
  `;
}

export function CameraTile({ camera, large = false }) {
  const canvas = useRef(null);
  const picture = useRef(null);
  const row = rows("cameras")[camera.id] ?? {};
  const incidents = Object.values(rows("incidents")).filter((i) => i.camera === camera.id && !i.ended);

  useEffect(() => {
    picture.current = new Picture(camera.id);
    return () => picture.current.close();
  }, [camera.id]);
  useEffect(() => {
    picture.current?.show(canvas.current, row, incidents);
  }, [row.frame_at, row.boxes, incidents.length]);

  const age = row.frame_at ? now.value - row.frame_at : null;
  const old = age === null || age > OLD_S || (row.health !== "ok" && row.health !== "unknown");
  const choose = () => {
    selected.value = camera.id;
  };
  return html`
    <button class="tile ${large ? "large" : ""} ${old ? "old" : ""} ${row.incident ? "incident" : ""}" onClick=${choose} data-camera=${camera.id}>
      <canvas ref=${canvas} width="320" height="180"></canvas>
      <span class="name">${camera.name}</span>
      ${age === null
        ? html`<span class="nothing">${t("noPicture")}</span>`
        : html`<span class="age">${age > OLD_S ? `${t("pictureOld")} · ` : ""}${span(age)}</span>`}
      ${row.health && row.health !== "ok" && row.health !== "unknown" && html`<span class="trouble">${t(row.health === "lost" ? "lostCamera" : row.health)}</span>`}
      ${row.incident && html`<span class="seen">${t(row.incident)}</span>`}
      ${large && row.occupancy !== null && html`<span class="measure">${num(row.occupancy * 100)} % · ${num(row.moving * 100)} %</span>`}
    </button>
  `;
}

// Fetches when the feed says that there is a newer picture, one at a time, and draws it with the boxes over it.
class Picture {
  constructor(id) {
    this.id = id;
    this.bitmap = null;
    this.at = 0;
    this.busy = false;
    this.gone = false;
  }

  async show(canvas, row, incidents) {
    this.last = [canvas, row, incidents];
    this.draw();
    if (this.busy || !row.frame_at || row.frame_at === this.at) return;
    this.busy = true;
    try {
      const answer = await fetch(`/api/camera/${this.id}.jpg`);
      if (answer.ok) {
        const bitmap = await createImageBitmap(await answer.blob());
        this.bitmap?.close();
        this.bitmap = bitmap;
        this.at = row.frame_at;
      }
    } catch {
      // the connection's state is told elsewhere; the picture's age tells the rest
    } finally {
      this.busy = false;
    }
    if (this.gone) this.bitmap?.close();
    else this.draw();
  }

  draw() {
    const [canvas, row, incidents] = this.last;
    if (!canvas || !this.bitmap || this.gone) return;
    const { width, height } = this.bitmap;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const c = canvas.getContext("2d");
    c.drawImage(this.bitmap, 0, 0);
    const box = ([left, top, w, h], ink, line) => {
      c.strokeStyle = ink;
      c.lineWidth = line * Math.max(1, width / 320);
      c.strokeRect(left * width, top * height, w * width, h * height);
    };
    for (const b of row.boxes ?? []) box(b, "rgba(255, 255, 255, 0.9)", 1.2);
    for (const incident of incidents) if (incident.box) box(incident.box, PRIORITY[2], 3);
  }

  close() {
    this.gone = true;
    if (!this.busy) this.bitmap?.close();
  }
}
