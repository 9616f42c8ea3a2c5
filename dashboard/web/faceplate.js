// The faceplate of the selected asset: what it is, what it says, who decides about it, and what can be ordered.
import { useState } from "preact/hooks";
import { acknowledge, startShelving, textOf } from "./alarms.js";
import { CameraTile } from "./cameras.js";
import { JournalChain } from "./chain.js";
import { ClosureCard, closureOf } from "./closures.js";
import { ask } from "./feed.js";
import { html } from "./html.js";
import { StreetOutlook } from "./outlook.js";
import { kindWord } from "./map.js";
import { CommandLine, OrderStrip, order, propose } from "./order.js";
import { Shape } from "./shapes.js";
import { alarmList, assetOf, depthLevel, now, open, replayAt, rows, selected, site, stale } from "./state.js";
import { clock, cm, num, span, t } from "./words.js";

const RECENT = 5;

export function close() {
  selected.value = "";
  order.value = null;
}

export function FacePlate() {
  const asset = assetOf(selected.value);
  if (!asset) return null;
  const alarms = alarmList.value.filter((a) => a.asset === asset.id);
  const Body = BODIES[asset.kind];
  return html`
    <section class="plate-pane" aria-label=${asset.name} data-asset=${asset.id} data-test="faceplate">
      <header>
        <div>
          <b>${asset.name}</b>
          <span class="soft">${kindWord(asset)} · ${asset.id}</span>
        </div>
        <button class="plain x" onClick=${close} title="Esc" aria-label=${t("close")}>×</button>
      </header>
      ${alarms.map((alarm) => html`<${AlarmLine} key=${alarm.tag} alarm=${alarm} />`)}
      <div class="body">
        ${Body && html`<${Body} key=${asset.id} asset=${asset} />`}
        <${Recent} key=${`recent-${asset.id}`} id=${asset.id} />
      </div>
    </section>
  `;
}

function AlarmLine({ alarm }) {
  const waiting = alarm.state !== "ack";
  return html`
    <div class="alarm-line ${waiting ? "waiting" : ""}">
      <${Shape} priority=${alarm.priority} waiting=${waiting} />
      <span>${textOf(alarm)}<small> ${clock(alarm.since)}</small></span>
      ${waiting && html`<button onClick=${() => acknowledge(alarm.tag)}>${t("acknowledge")}</button>`}
      <button class="plain" onClick=${() => startShelving(alarm.tag)}>${alarm.shelved_until ? t("unshelve") : t("shelve")}</button>
    </div>
  `;
}

function Recent({ id }) {
  const [chained, chain] = useState("");
  const list = Object.entries(rows("commands")).filter(([, row]) => row.target === id).slice(-RECENT).reverse();
  if (!list.length) return null;
  return html`
    <h3>${t("recentCommands")}</h3>
    <ul class="commands-short">
      ${list.map(([key, row]) => html`
        <button class="plain" key=${key} onClick=${() => chain(chained === key ? "" : key)} title=${t("chain")}><${CommandLine} row=${row} /></button>
        ${chained === key && html`<${JournalChain} address=${key} />`}
      `)}
    </ul>
  `;
}

// --- parts ----------------------------------------------------------------------------------------

function Values({ list }) {
  return html`
    <dl class="values">
      ${list.filter(Boolean).map(([name, value, note]) => html`
        <div key=${name}><dt>${name}</dt><dd>${value}${note && html`<small> ${note}</small>`}</dd></div>
      `)}
    </dl>
  `;
}

const yesNo = (value) => (value === null || value === undefined ? "–" : value ? t("yes") : t("none"));
const faultWord = (value) =>
  value === null || value === undefined ? "–" : value ? html`<b class="bad">${t("yes")}</b>` : t("none");
const metre = (value) => `${num(value, 2)} m`;

// Who decides: the engine or a person.
function Mode({ asset, mode }) {
  const off = stale.value || replayAt.value > 0;
  const [refused, refuse] = useState("");
  const set = async (wanted) => {
    if (wanted === mode) return;
    const answer = await ask({ do: "mode", asset, mode: wanted });
    refuse(answer.ok ? "" : answer.why);
  };
  return html`
    <div class="mode" role="group" aria-label=${t("mode")}>
      ${["automatic", "manual"].map((m) => html`
        <button key=${m} class=${m === mode ? "on" : ""} aria-pressed=${m === mode} disabled=${off} onClick=${() => set(m)} data-test="mode-${m}">${t(m)}</button>
      `)}
    </div>
    ${refused && html`<p class="refusal">${t("notTaken")}: ${refused}</p>`}
  `;
}

// Orders are open in manual only: in automatic the engine would take them back.
function Orders({ asset, mode, children }) {
  if (mode !== "manual") return html`<p class="soft small">${t("manualFirst")}</p><${OrderStrip} asset=${asset} />`;
  return html`<div class="orders">${children}</div><${OrderStrip} asset=${asset} />`;
}

// `said` is what the confirmation asks, where the button has no room for it.
function OrderButton({ asset, label, said = label, request, off = false }) {
  const blocked = off || stale.value || replayAt.value > 0 || order.value?.phase === "sending";
  return html`<button disabled=${blocked} onClick=${() => propose(asset, said, request)}>${label}</button>`;
}

// --- bodies ---------------------------------------------------------------------------------------

function Segment({ asset }) {
  const row = rows("segments")[asset.id] ?? {};
  const { thing } = asset;
  const gauge = site.value.gauges.find((g) => g.kind === "street" && g.segment === asset.id);
  const closure = closureOf(asset.id);
  const level = row.depth_m === null || row.depth_m === undefined ? 0 : Math.max(row.level, depthLevel(row.depth_m));
  const signs = site.value.signs.filter((s) => s.segments.includes(asset.id));
  const cameras = site.value.cameras.filter((c) => c.segment === asset.id);
  return html`
    ${gauge && html`
      <p class="big"><span class="plate f${level}">${cm(row.depth_m)} cm</span> <span>${t(`flood${level}`)}</span></p>
    `}
    <${Values} list=${[
      [t("traffic"), t(`traffic${row.congestion ?? 0}`)],
      gauge && [t("asOf"), clock(row.at)],
      [t("lanes"), thing.one_way ? thing.lanes : `2 × ${thing.lanes}`],
      [t("limit"), `${num(thing.speed_limit_km_h)} km/h`],
      [t("lowPoint"), metre(thing.low_point_m)],
    ]} />
    <${StreetOutlook} segment=${asset.id} />
    ${closure && html`<${ClosureCard} key=${asset.id} closure=${closure} unfolded=${true} />`}
    <${Related} ids=${[...(gauge ? [gauge.id] : []), ...cameras.map((c) => c.id), ...signs.map((s) => s.id)]} />
  `;
}

function Related({ ids }) {
  if (!ids.length) return null;
  return html`
    <h3>${t("related")}</h3>
    <p class="related">
      ${ids.map((id) => html`<button class="plain" key=${id} onClick=${() => open(id)}>${assetOf(id)?.name ?? id}</button>`)}
    </p>
  `;
}

function Junction({ asset }) {
  const row = rows("signals")[asset.id] ?? {};
  const { thing } = asset;
  const since = row.since ? span(Math.max(0, now.value - row.since)) : "–";
  return html`
    <${Values} list=${[
      [t("stage"), row.stage || "–", row.wanted ? `→ ${row.wanted}` : ""],
      [t("interval"), t(row.interval === "dark" ? "darkSignal" : row.interval), since],
      row.plan && row.method === "planner" && [t("next"), ...nextStage(row)],
      [t("method"), html`<span data-test="method">${t(row.method)}</span>`, row.method_why],
      [t("controller"), t(row.mode)],
      [t("fault"), row.fault ? html`<b class="bad">${row.fault}</b>` : t("none")],
    ]} />
    ${row.plan && row.method === "planner" && html`<${Reasons} plan=${row.plan} />`}
    <${Approaches} asset=${asset} row=${row} />
    <${Override} key=${asset.id} asset=${asset.id} row=${row} />
    <${Mode} asset=${asset.id} mode=${row.control} />
    <${Orders} asset=${asset.id} mode=${row.control}>
      ${thing.stage.map((stage) => html`
        <${OrderButton} key=${stage.id} asset=${asset.id} label=${`${t("goStage")} ${stage.id}`} off=${stage.id === row.stage && row.interval === "green"}
          request=${{ do: "stage", junction: asset.id, stage: stage.id }} />
      `)}
    <//>
  `;
}

// Which stage comes, and in how many seconds by the best plan.
function nextStage({ plan, stage, interval, wanted }) {
  if (interval !== "green") return [wanted || plan.stage, ""];
  if (plan.stage !== stage) return [plan.stage, `${t("inSeconds")} 0 s`];
  if (!plan.following) return [t("goesOn"), ""];
  return [plan.following, `${t("inSeconds")} ${num(Math.max(0, plan.at + plan.hold_s - now.value))} s`];
}

// Why: the two best plans, and what each would cost all who wait.
function Reasons({ plan }) {
  if (!plan.following) return null;
  const most = Math.max(plan.cost, plan.other ? plan.other_cost : 0, 1);
  const line = (label, stage, cost) => html`
    <tr>
      <td class="soft">${label}</td><td>→ ${stage}</td>
      <td class="cost"><i style=${`width:${(100 * cost) / most}%`}></i></td><td class="n">${num(cost)}</td>
    </tr>
  `;
  return html`
    <h3>${t("bestPlans")} <small>${t("costs")}</small></h3>
    <table class="reasons" data-test="reasons">
      ${line(t("best"), plan.following, plan.cost)}
      ${plan.other
        ? line(t("secondBest"), plan.other, plan.other_cost)
        : html`<tr><td class="soft">${t("secondBest")}</td><td class="soft" colspan="3">${t("noOther")}</td></tr>`}
    </table>
  `;
}

const ASPECTS = { G: "green", y: "yellow", r: "red", o: "off" };
const share = (value) => (value === null || value === undefined ? "–" : `${num(value * 100)} %`);

// Each approach: what it shows, its queue and flow, and its measures of effectiveness.
function Approaches({ asset, row }) {
  const points = rows("points");
  const measures = rows("measures")[asset.id] ?? {};
  return html`
    <h3>${t("approaches")} ${measures.at > 0 && html`<small>${num(measures.over_s / 60, 1)} ${t("overMinutes")}</small>`}</h3>
    <table class="approaches" data-test="approaches">
      <thead><tr><th></th><th></th><th class="n">${t("colQueue")}</th><th class="n">${t("colFlow")}</th><th class="n">${t("colOnGreen")}</th><th class="n">${t("colSplits")}</th><th class="n">${t("colDelay")}</th></tr></thead>
      <tbody>
        ${asset.thing.group.map((group, i) => {
          const told = measures.approaches?.[group.id] ?? {};
          return html`
            <tr key=${group.id}>
              <td><span class="aspect ${ASPECTS[row.aspects?.[i]] ?? "off"}"></span></td>
              <td>${group.id} <small>${group.name}</small></td>
              <td class="n">${num(points[`${asset.id}/${group.id}/queue_veh`]?.v)}</td>
              <td class="n">${num(points[`${asset.id}/${group.id}/flow_veh_h`]?.v)}</td>
              <td class="n">${share(told.on_green)}</td>
              <td class="n">${told.greens ? `${told.split_failures}/${told.greens}` : "–"}</td>
              <td class="n">${told.delay_s === null || told.delay_s === undefined ? "–" : `${num(told.delay_s)} s`}</td>
            </tr>
          `;
        })}
      </tbody>
    </table>
  `;
}

const OVERRIDES_S = [30, 60, 120, 300];

// Hold or advance for a time, after which the junction is automatic by itself.
function Override({ asset, row }) {
  const [for_s, setFor] = useState(120);
  const request = (action) => ({ do: "override", junction: asset, action, for_s });
  if (row.held) {
    return html`
      <div class="override" data-test="held">
        <span>${t("heldUntil")} <b>${clock(row.held_until)}</b> <small>${span(Math.max(0, row.held_until - now.value))} · ${t(row.held)} · ${row.held_by}</small></span>
        <${OrderButton} asset=${asset} label=${t("release")} request=${request("release")} />
      </div>
    `;
  }
  return html`
    <div class="override">
      <label>${t("overrideFor")} <select value=${for_s} onChange=${(e) => setFor(Number(e.target.value))}>
        ${OVERRIDES_S.map((s) => html`<option key=${s} value=${s}>${s} s</option>`)}
      </select></label>
      <${OrderButton} asset=${asset} label=${t("hold")} said=${`${t("hold")} ${for_s} s`} request=${request("hold")} />
      <${OrderButton} asset=${asset} label=${t("advance")} said=${`${t("advance")}, ${for_s} s`} request=${request("advance")} />
    </div>
  `;
}

function Camera({ asset }) {
  const row = rows("cameras")[asset.id] ?? {};
  const incidents = Object.entries(rows("incidents")).filter(([, i]) => i.camera === asset.id);
  return html`
    <${CameraTile} camera=${asset.thing} large=${true} />
    <${Values} list=${[
      [t("health"), t(row.health === "lost" ? "lostCamera" : row.health), row.why],
      [t("occupancy"), row.occupancy === null ? "–" : `${num(row.occupancy * 100)} %`],
      [t("moving"), row.moving === null ? "–" : `${num(row.moving * 100)} %`],
      [t("asOf"), clock(row.at)],
    ]} />
    ${incidents.map(([id, i]) => html`
      <p class="incident-line" key=${id}>
        <b class=${i.ended ? "" : "bad"}>${t(i.kind)}</b> ${clock(i.since)}${i.ended ? `–${clock(i.ended)}` : ""} · ${num(i.confidence * 100)} %
        <small>${i.why}</small>
      </p>
    `)}
    <${Related} ids=${[asset.thing.segment]} />
  `;
}

function Gauge({ asset }) {
  const points = rows("points");
  const { thing } = asset;
  const tide = rows("tide")[asset.id];
  const rain = rows("rain")[asset.id];
  const list = thing.quantities.map((quantity) => {
    const id = `${asset.id}/${quantity}`;
    const row = points[id];
    const name = site.value.quantities.find((q) => q.id === quantity);
    const note = row ? `${t(`q${row.q}`)} · ${clock(row.at)}` : "";
    return [name?.name_vi ? nameOfQuantity(name) : t(quantity), `${num(row?.v, 2)} ${site.value.points[id].unit}`, note];
  });
  if (tide) {
    list.push([t("alarmLevel"), tide.level || "0", `${num(tide.threshold_m, 2)} m`]);
    list.push([t("rate"), tide.rate_m_h === null ? "–" : `${num(tide.rate_m_h, 2)} m${t("perHour")}`]);
  }
  if (rain) list.push([t("rain60"), `${num(rain.mm_60min, 1)} mm`]);
  return html`
    <${Values} list=${list} />
    ${thing.segment && html`<${Related} ids=${[thing.segment]} />`}
  `;
}

const nameOfQuantity = (quantity) => (document.documentElement.lang === "vi" ? quantity.name_vi : quantity.name_en);

function PumpBox({ pump }) {
  const row = rows("pumps")[pump.id] ?? {};
  const state = row.running === null ? "unknown" : row.running ? "running" : "stopped";
  const wanted = row.wanted === null ? "" : `→ ${row.wanted ? t("run") : t("stop")}`;
  return html`
    <div class="pump ${state} ${row.fault ? "fault" : ""}" data-pump=${pump.id}>
      <div class="pump-head">
        <span class="lamp"></span> <b>${pump.id}</b> <span>${t(state)} ${wanted}</span>
        ${row.fault && html`<b class="bad">${t("fault")}</b>`}
      </div>
      <${Values} list=${[
        [t("flow"), `${num(row.flow_m3s, 2)} m³/s`, `/ ${num(pump.flow_m3s, 2)}`],
        [t("current"), `${num(row.current_a)} A`],
        [t("startAt"), metre(pump.start_m)],
        [t("stopAt"), metre(pump.stop_m)],
      ]} />
      <${Mode} asset=${pump.id} mode=${row.mode} />
      <${Orders} asset=${pump.id} mode=${row.mode}>
        <${OrderButton} asset=${pump.id} label=${`${t("run")} ${pump.id}`} off=${row.running === true} request=${{ do: "pump", pump: pump.id, run: true }} />
        <${OrderButton} asset=${pump.id} label=${`${t("stop")} ${pump.id}`} off=${row.running === false} request=${{ do: "pump", pump: pump.id, run: false }} />
      <//>
    </div>
  `;
}

// Whether the centre may command: the switch on the panel, and the PLC's own watchdog.
function remoteWord(remote, target) {
  const plc = site.value.plcs.find((p) => p.targets.includes(target));
  if (rows("sources")[plc?.id]?.local) return html`<b class="bad">${t("ownRules")}</b>`;
  return remote === null || remote === undefined ? "–" : remote ? t("yes") : html`<b class="bad">${t("local")}</b>`;
}

function Station({ asset }) {
  const row = rows("stations")[asset.id] ?? {};
  const pumps = site.value.pumps.filter((p) => p.station === asset.id);
  return html`
    <${Values} list=${[
      [t("sump"), metre(row.sump_m)],
      [t("power"), `${num(row.power_kw)} kW`, `/ ${num(asset.thing.power_kw_max)}`],
      [t("remote"), remoteWord(row.remote, pumps[0]?.id)],
    ]} />
    ${pumps.map((pump) => html`<${PumpBox} key=${pump.id} pump=${pump} />`)}
  `;
}

function PumpBody({ asset }) {
  return html`
    <${PumpBox} pump=${asset.thing} />
    <${Related} ids=${[asset.thing.station]} />
  `;
}

function Gate({ asset }) {
  const row = rows("gates")[asset.id] ?? {};
  const share = (value) => (value === null || value === undefined ? "–" : `${num(value * 100)} %`);
  const wanted = row.wanted === null || row.wanted === undefined ? "" : `→ ${share(row.wanted)}`;
  return html`
    <p class="big"><b>${share(row.opening)}</b> <span>${t("opening")} ${wanted}</span></p>
    <${Values} list=${[
      [t("outside"), metre(row.outside_m)],
      [t("inside"), metre(row.inside_m)],
      [t("closing_m"), metre(asset.thing.closing_m)],
      [t("moving"), yesNo(row.moving)],
      [t("fault"), faultWord(row.fault)],
      [t("remote"), remoteWord(row.remote, asset.id)],
    ]} />
    <${Mode} asset=${asset.id} mode=${row.mode} />
    <${Orders} asset=${asset.id} mode=${row.mode}>
      <${OrderButton} asset=${asset.id} label=${t("closeGate")} off=${row.opening === 0} request=${{ do: "gate", gate: asset.id, opening_ratio: 0 }} />
      <${OrderButton} asset=${asset.id} label=${t("openGate")} off=${row.opening === 1} request=${{ do: "gate", gate: asset.id, opening_ratio: 1 }} />
    <//>
  `;
}

function Sign({ asset }) {
  const row = rows("signs")[asset.id] ?? {};
  const { thing } = asset;
  const [text, setText] = useState(row.text ?? "");
  const lines = text.split("\n");
  const fits = lines.length <= thing.rows && lines.every((line) => line.length <= thing.columns);
  return html`
    <pre class="vms">${row.text || t("blank")}</pre>
    <${Values} list=${[[t("asOf"), clock(row.at)], row.wanted !== null && row.wanted !== undefined && [t("wanted"), row.wanted || t("blank")]]} />
    <${Mode} asset=${asset.id} mode=${row.control} />
    <${Orders} asset=${asset.id} mode=${row.control}>
      <textarea rows=${thing.rows} cols=${thing.columns} value=${text} aria-label=${t("text")} onInput=${(e) => setText(e.target.value)}></textarea>
      <${OrderButton} asset=${asset.id} label=${t("showText")} off=${!fits} request=${{ do: "sign", sign: asset.id, text }} />
      <${OrderButton} asset=${asset.id} label=${t("blank")} request=${{ do: "sign", sign: asset.id, text: "" }} />
    <//>
    <${Related} ids=${thing.segments} />
  `;
}

function Circuit({ asset }) {
  const row = rows("circuits")[asset.id] ?? {};
  const power = rows("points")[`${asset.id}/power_kw`];
  const percent = (value) => (value === null || value === undefined ? "–" : `${num(value * 100)} %`);
  return html`
    <${Values} list=${[
      [t("level"), percent(row.level_ratio), row.wanted === null || row.wanted === undefined ? "" : `→ ${percent(row.wanted)}`],
      [t("power"), `${num(power?.v, 1)} kW`, `/ ${num(asset.thing.power_kw, 1)}`],
      [t("asOf"), clock(row.at)],
    ]} />
    <${Mode} asset=${asset.id} mode=${row.control} />
    <${Orders} asset=${asset.id} mode=${row.control}>
      ${[0, 0.5, 1].map((level) => html`
        <${OrderButton} key=${level} asset=${asset.id} label=${percent(level)} request=${{ do: "lighting", circuit: asset.id, level_ratio: level }} />
      `)}
    <//>
  `;
}

function PlcBody({ asset }) {
  const row = rows("sources")[asset.id] ?? {};
  const ids = new Set(asset.thing.targets.map((id) => assetOf(id)?.thing.station ?? id));
  return html`
    <${Values} list=${[[t("state"), t(row.state), row.why], row.local && [t("remote"), remoteWord(true, asset.thing.targets[0])], [t("messages"), num(row.n)]]} />
    <${Related} ids=${[...ids]} />
  `;
}

const BODIES = {
  segment: Segment, signal: Junction, camera: Camera, gauge: Gauge, station: Station, pump: PumpBody, gate: Gate,
  sign: Sign, circuit: Circuit, plc: PlcBody,
};
