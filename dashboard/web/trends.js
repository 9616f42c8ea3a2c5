// Trends of what is being looked at: depth with its limits and forecast, tide with its alarm levels, sumps, queues.
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { pastOf } from "./history.js";
import { html } from "./html.js";
import { FLOOD, FONT, PRIORITY, SELECT, TEXT } from "./palette.js";
import { assetOf, depthLimits, inForce, nameOf, now, peek, replayAt, rows, selected, site, ticking } from "./state.js";
import { shortTide } from "./topbar.js";
import { clock, language, num, t } from "./words.js";

const SPANS_MIN = [60, 180, 720];
const REDRAW_S = 1;
const SHORTEST_S = 600;
const FORECAST_S_MAX = 3 * 3600;
const TIDE_INKS = [PRIORITY[3], PRIORITY[2], PRIORITY[1]];
const LINE_INKS = [TEXT, "#6d757b", "#3f6a88", "#8a7a5c"];
const shownSpan = signal(60);

// --- what to show ---------------------------------------------------------------------------------

let kept = ""; // the worst street, held until another is clearly worse

function worstStreet() {
  const depths = peek("segments");
  const streets = site.value.gauges.filter((g) => g.kind === "street" && depths[g.segment]);
  const depth = (g) => depths[g.segment].depth_m ?? -1;
  const worst = streets.reduce((a, b) => (a === null || depth(b) > depth(a) ? b : a), null);
  const held = streets.find((g) => g.id === kept);
  if (worst && (!held || depth(worst) > depth(held) + 0.03)) kept = worst.id;
  return kept;
}

function street(gauge) {
  const segment = site.value.gauges.find((g) => g.id === gauge)?.segment;
  const limits = depthLimits.value.map((v, i) => ({ v: v * 100, ink: FLOOD[i + 1] }));
  return {
    key: gauge,
    title: `${t("depthTitle")} ${nameOf(segment ?? gauge)} (cm)`,
    note: t("measuredForecastLimits"),
    lines: [{ point: `${gauge}/depth_m`, factor: 100 }],
    limits,
    least: 0,
    most: 20,
    digits: 0,
  };
}

function tide(gauge) {
  const levels = inForce(site.value.tide_levels.filter((l) => l.gauge === gauge), now.value)?.levels_m ?? [];
  return {
    key: gauge,
    title: `${shortTide(nameOf(gauge))} (m)`,
    note: `${t("levelsLegend")} I · II · III`,
    lines: [{ point: `${gauge}/stage_m`, factor: 1 }],
    limits: levels.map((v, i) => ({ v, ink: TIDE_INKS[i], label: ["I", "II", "III"][i] })),
    digits: 2,
  };
}

function sump(station) {
  const pumps = site.value.pumps.filter((p) => p.station === station);
  const first = pumps.reduce((a, b) => (a && a.start_m <= b.start_m ? a : b), null);
  const limits = first ? [{ v: first.start_m, ink: "#6d757b", label: "▶" }, { v: first.stop_m, ink: "#6d757b", label: "■" }] : [];
  return {
    key: station,
    title: `${t("sumpTitle")} ${nameOf(station)} (m)`,
    note: t("measured"),
    lines: [{ point: `${station}/sump_m`, factor: 1 }],
    limits,
    digits: 2,
  };
}

function ofGauge(gauge) {
  if (gauge.kind === "street") return street(gauge.id);
  if (gauge.kind === "tide") return null;
  const quantity = gauge.quantities[0];
  const unit = site.value.points[`${gauge.id}/${quantity}`].unit;
  return {
    key: gauge.id,
    title: `${t(gauge.kind === "rain" ? "rainTitle" : "levelTitle")} ${gauge.name} (${unit})`,
    note: t("measured"),
    lines: [{ point: `${gauge.id}/${quantity}`, factor: 1 }],
    limits: [],
    digits: gauge.kind === "rain" ? 0 : 2,
    ...(gauge.kind === "rain" ? { least: 0, most: 10 } : {}),
  };
}

// The upper chart follows the selection; without one it shows the street under most water.
function chosen() {
  const asset = assetOf(selected.value);
  const gaugeOn = (segment) => site.value.gauges.find((g) => g.kind === "street" && g.segment === segment)?.id;
  switch (asset?.kind) {
    case "gauge":
      return ofGauge(asset.thing) ?? street(worstStreet());
    case "station":
      return sump(asset.id);
    case "pump":
      return sump(asset.thing.station);
    case "gate":
      return {
        key: asset.id,
        title: `${asset.name} (m)`,
        note: `${t("outside")} — ${t("inside")}`,
        lines: [{ point: `${asset.id}/outside_m`, factor: 1 }, { point: `${asset.id}/inside_m`, factor: 1 }],
        limits: [{ v: asset.thing.closing_m, ink: PRIORITY[2], label: "▼" }],
        digits: 2,
      };
    case "signal":
      return {
        key: asset.id,
        title: `${t("queueTitle")} ${asset.name} (${t("veh")})`,
        note: asset.thing.group.map((g) => g.name || g.id).join(" · "),
        lines: asset.thing.group.slice(0, 4).map((g) => ({ point: `${asset.id}/${g.id}/queue_veh`, factor: 1 })),
        limits: [],
        least: 0,
        most: 10,
        digits: 0,
      };
    case "segment":
      return street(gaugeOn(asset.id) ?? worstStreet());
    case "camera":
      return street(gaugeOn(asset.thing.segment) ?? worstStreet());
    default:
      return street(worstStreet());
  }
}

export function TrendPane() {
  rows("segments");
  const upper = chosen();
  const gauge = site.value.tide_levels[0]?.gauge;
  return html`
    <section class="pane trends" aria-label=${t("depthTitle")}>
      <div class="spans" role="group">
        ${SPANS_MIN.map((m) => html`
          <button key=${m} class="plain ${shownSpan.value === m ? "on" : ""}" onClick=${() => (shownSpan.value = m)}>${m / 60} ${t("hours")}</button>
        `)}
      </div>
      <${Chart} key="upper" spec=${upper} />
      ${gauge && html`<${Chart} key="tide" spec=${tide(gauge)} />`}
    </section>
  `;
}

// --- one chart ------------------------------------------------------------------------------------

function Chart({ spec }) {
  const box = useRef(null);
  const plot = useRef(null);
  const readout = useRef(null);
  const drawn = useRef(0);
  const minutes = shownSpan.value;
  const pasts = spec.lines.map((line) => pastOf(line.point, minutes));
  pasts.forEach((past) => past.version.value);
  ticking.value;
  const forecast = rows("forecasts")[spec.lines[0].point] ?? null;

  useEffect(() => {
    plot.current = openPlot(box.current, spec, readout);
    drawn.current = 0;
    const observer = new ResizeObserver(() => plot.current?.setSize(sizeOf(box.current)));
    observer.observe(box.current);
    return () => {
      observer.disconnect();
      plot.current.destroy();
      plot.current = null;
    };
  }, [spec.key, spec.lines.length, language.value]);

  useEffect(() => {
    const due = performance.now() - drawn.current >= REDRAW_S * 1000;
    if (!plot.current || !(due || plot.current.spanShown !== minutes)) return;
    drawn.current = performance.now();
    plot.current.spanShown = minutes;
    plot.current.spec = spec;
    const from = beginning(pasts, minutes);
    plot.current.setData(dataOf(spec, pasts, forecast, from), false);
    plot.current.setScale("x", { min: from, max: now.value + forecastSpan(forecast) });
  });

  const failed = pasts[0].failed.value;
  return html`
    <div class="chart" data-point=${spec.lines[0].point}>
      <h2><span>${spec.title}</span> <small>— ${spec.note}</small> <output ref=${readout}></output></h2>
      <div class="plot" ref=${box}></div>
      ${failed && html`<p class="away">${t("historyAway")}</p>`}
    </div>
  `;
}

// Where the time axis begins: the whole span, or less as long as there is less to show.
function beginning(pasts, minutes) {
  const first = Math.min(...pasts.map((past) => past.at[0] ?? Infinity));
  const least = now.value - SHORTEST_S;
  return Math.max(now.value - minutes * 60, Math.min(first, least));
}

const sizeOf = (box) => ({ width: Math.max(120, box.clientWidth), height: Math.max(60, box.clientHeight) });

function forecastSpan(forecast) {
  if (!forecast?.lead_s.length) return 0;
  const ahead = forecast.issued + forecast.lead_s.at(-1) - now.value;
  return Math.min(FORECAST_S_MAX, Math.max(0, ahead));
}

// One time axis for all lines and the forecast: [at, line, ..., forecast].
function dataOf(spec, pasts, forecast, from) {
  const columns = pasts.map((past, i) => {
    const start = Math.max(0, past.at.findIndex((at) => at >= from));
    return [past.at.slice(start), past.v.slice(start).map((v) => v * spec.lines[i].factor)];
  });
  const tables = columns.map(([at, v]) => [at, v]);
  const last = pasts[0].v.at(-1);
  if (forecast?.lead_s.length) {
    const ahead = forecast.lead_s.map((lead) => forecast.issued + lead);
    const values = forecast.v.map((v) => v * spec.lines[0].factor);
    const later = ahead.findIndex((at) => at > (pasts[0].at.at(-1) ?? 0));
    if (later >= 0 && last !== undefined) {
      tables.push([
        [pasts[0].at.at(-1), ...ahead.slice(later)],
        [last * spec.lines[0].factor, ...values.slice(later)],
      ]);
    } else tables.push([[], []]);
  } else tables.push([[], []]);
  const full = tables.map(([at, v]) => (at.length ? [at, v] : [[now.value], [null]]));
  return uPlot.join(full);
}

function openPlot(box, spec, readout) {
  const axis = { stroke: TEXT, font: `11px ${FONT}`, ticks: { show: false }, grid: { stroke: "rgba(60, 68, 74, 0.13)", width: 1 } };
  const lines = spec.lines.map((_, i) => ({ stroke: LINE_INKS[i], width: 1.7, points: { show: false }, spanGaps: true }));
  const plot = new uPlot(
    {
      ...sizeOf(box),
      padding: [6, 22, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
      scales: { x: { time: true }, y: { range: (u, low, high) => rangeOf(u.spec ?? spec, low, high) } },
      axes: [
        { ...axis, size: 22, space: 64, values: (_, at) => at.map((s) => clock(s, false)) },
        { ...axis, size: 38, space: 22, values: (_, v) => v.map((y) => num(y, spec.digits ? (Math.abs(v[1] - v[0]) < 0.1 ? 2 : 1) : 0)) },
      ],
      series: [{}, ...lines, { stroke: TEXT, width: 1.7, dash: [4, 4], points: { show: false }, spanGaps: true }],
      hooks: { drawAxes: [drawLimits], draw: [drawNow], setCursor: [(u) => tell(u, readout.current)] },
    },
    [[now.value], ...lines.map(() => [null]), [null]],
    box,
  );
  plot.spec = spec;
  return plot;
}

// All of the data, and the limits next above and below it, so that the distance to them is seen.
function rangeOf(spec, low, high) {
  let min = Math.min(low ?? Infinity, spec.least ?? Infinity);
  let max = Math.max(high ?? -Infinity, spec.most ?? -Infinity);
  if (!Number.isFinite(min)) min = spec.limits[0]?.v ?? 0;
  if (!Number.isFinite(max)) max = spec.limits.at(-1)?.v ?? 1;
  const above = spec.limits.find((limit) => limit.v > max);
  if (above) max = above.v;
  const below = spec.limits.findLast((limit) => limit.v < min);
  if (below && !above) min = below.v;
  const room = Math.max((max - min) * 0.08, spec.digits ? 0.05 : 1);
  return [spec.least !== undefined && min >= spec.least ? spec.least : min - room, max + room];
}

function drawLimits(u) {
  const c = u.ctx;
  const { left, width, top, height } = u.bbox;
  const ratio = devicePixelRatio || 1;
  c.save();
  c.font = `${600} ${10.5 * ratio}px ${FONT}`;
  c.textAlign = "left";
  c.textBaseline = "middle";
  for (const { v, ink, label } of u.spec?.limits ?? []) {
    const y = u.valToPos(v, "y", true);
    if (y < top || y > top + height) continue;
    c.strokeStyle = ink;
    c.lineWidth = 1.4 * ratio;
    c.beginPath();
    c.moveTo(left, y);
    c.lineTo(left + width, y);
    c.stroke();
    c.fillStyle = TEXT;
    c.fillText(label ?? num(v), left + width + 4 * ratio, y);
  }
  c.restore();
}

function drawNow(u) {
  const at = replayAt.value || now.value;
  const x = u.valToPos(at, "x", true);
  const { left, width, top, height } = u.bbox;
  if (x < left || x > left + width - 2) return;
  const c = u.ctx;
  c.save();
  c.strokeStyle = replayAt.value ? SELECT : "rgba(60, 68, 74, 0.5)";
  c.lineWidth = (replayAt.value ? 2 : 1) * (devicePixelRatio || 1);
  c.beginPath();
  c.moveTo(x, top);
  c.lineTo(x, top + height);
  c.stroke();
  c.restore();
}

function tell(u, out) {
  const i = u.cursor.idx;
  if (!out) return;
  if (i === null || i === undefined || u.cursor.left < 0) {
    out.textContent = "";
    return;
  }
  const values = u.data.slice(1).map((column) => column[i]).filter((v) => v !== null && v !== undefined);
  out.textContent = values.length ? `${clock(u.data[0][i], false)}  ${values.map((v) => num(v, u.spec.digits)).join(" · ")}` : "";
}
