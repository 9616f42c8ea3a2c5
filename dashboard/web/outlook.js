// The flood outlook: which streets the ensemble expects under water, how deep, when, how surely, and on what that rests.
import { Chain } from "./chain.js";
import { html } from "./html.js";
import { centre, depthLevel, inForce, nameOf, now, open, peek, rows, site } from "./state.js";
import { clock, cm, num, span, t } from "./words.js";

const OLD_S = 900; // three forecasts missed
const SHARE_MIN = 0.1; // of the members: fewer are not listed
const W = 220;
const H = 56;

const run = () => rows("outlook_runs").centre ?? null;

export const warnedCount = () => Object.values(rows("outlooks")).filter((row) => row.level >= 2).length;

function streets() {
  return Object.entries(rows("outlooks"))
    .map(([segment, row]) => ({ segment, ...row }))
    .filter((row) => row.level || (row.over[1] ?? 0) >= SHARE_MIN)
    .sort((a, b) => b.level - a.level || (a.onset ?? 0) - (b.onset ?? 0) || b.peak - a.peak || (a.segment < b.segment ? -1 : 1));
}

export function Outlook() {
  const made = run();
  const list = streets();
  const other = Object.keys(rows("basins")).length + Object.keys(rows("standing")).length;
  if (!made && !list.length && !other) return html`<h2>${t("outlook")}</h2><p class="soft">${t("outlookNone")}</p>`;
  return html`
    <h2>${t("outlook")} <small>${made && html`<${Made} made=${made} />`}</small></h2>
    ${made?.faults.map((fault) => html`<p class="refusal" key=${fault}>${fault}</p>`)}
    <div class="scroll">
      <${Basins} />
      ${list.length ? html`
        <table class="outlooks" data-test="outlooks">
          <thead><tr>
            <th>${t("colStreet")}</th><th>${t("colAlert")}</th><th class="n">${t("colOver20")}</th><th class="n">${t("colPeak")}</th>
            <th>${t("colOnset")}</th><th>${t("colEnd")}</th><th>${t("colClosed")}</th><th>${t("colCause")}</th><th>${t("why")}</th>
          </tr></thead>
          <tbody>${list.map((row) => html`<${Street} key=${row.segment} row=${row} />`)}</tbody>
        </table>
      ` : made && html`<p class="soft">${t("outlookDry")} ${span(made.ahead_s)}</p>`}
      <${Standing} />
    </div>
    <${Skill} />
  `;
}

// The basins with an alert, the worst first.
function Basins() {
  const list = Object.entries(rows("basins")).map(([id, row]) => ({ id, ...row })).sort((a, b) => b.level - a.level || (a.onset ?? 0) - (b.onset ?? 0) || (a.id < b.id ? -1 : 1));
  if (!list.length) return null;
  return html`
    <table class="outlooks basins" data-test="basins">
      <thead><tr>
        <th>${t("colBasin")}</th><th>${t("colAlert")}</th><th class="n">${t("colP")}</th><th class="n">${t("colPeak0")}</th><th class="n">${t("colStreets")}</th><th>${t("colOnset")}</th><th>${t("colCause")}</th>
      </tr></thead>
      <tbody>${list.map((row) => html`
        <tr key=${row.id} onClick=${() => row.streets[0] && open(row.streets[0])}>
          <td><b>${row.name}</b></td>
          <td class="alert a${row.level}">${t(`alert${row.level}`)}${row.was && row.was !== row.level ? html` <span class="soft">${t(row.was < row.level ? "rose" : "fell")} ${t(`alert${row.was}`)}</span>` : ""}</td>
          <td class="n">${num(row.p * 100)} %</td>
          <td class="n"><span class="plate f${depthLevel(row.peak)}">${cm(row.peak)} cm</span></td>
          <td class="n" title=${row.streets.map(nameOf).join(", ")}>${num(row.streets.length)} / ${num(row.of)}</td>
          <td>${row.onset ? `${clock(row.onset, false)} (${span(row.onset - now.value)})` : row.streets.length ? t("now") : ""}</td>
          <td>${t(`cause_${row.cause}`)}</td>
        </tr>
      `)}</tbody>
    </table>
  `;
}

// What stood, or stands, on the gauged streets, and how often it came to what.
function Standing() {
  const list = Object.entries(rows("standing")).map(([segment, row]) => ({ segment, ...row })).sort((a, b) => (b.now > "") - (a.now > "") || b.flooded - a.flooded || b.gathered - a.gathered || (a.segment < b.segment ? -1 : 1));
  if (!list.length) return null;
  const rule = inForce(site.value.standing_rules ?? [], centre.value.at);
  const said = rule && t("standingRule").replace("{cm}", cm(rule.depth_m)).replace("{min}", num(rule.after_rain_s / 60));
  return html`
    <h3>${t("standing")} <small class="soft">${said}</small></h3>
    <p class="skill" data-test="standing">${list.map((row) => html`
      <span key=${row.segment}><button class="plain link" onClick=${() => open(row.segment)}>${nameOf(row.segment)}</button> ${row.now ? html`<b class=${row.now === "flooded" ? "bad" : ""}>${t(row.now)} ${t("since")} ${clock(row.since, false)}</b> ` : ""}<span class="soft">${t("flooded")} ${num(row.flooded)} ${t("times")}, ${t("gathered")} ${num(row.gathered)} ${t("times")}</span></span>
    `)}</p>
  `;
}

// How the forecasts so far came out, where a street gauge could tell.
function Skill() {
  const { alerts, ...leads } = rows("outlook_skill");
  const floods = alerts ? alerts.hit + alerts.missed : 0;
  const depths = Object.entries(leads).sort((a, b) => a[0] - b[0]);
  if (!alerts && !depths.length) return null;
  return html`
    <h3>${t("skill")} <small class="soft">${t("skillGauged")}</small></h3>
    <p class="skill" data-test="skill">
      ${alerts && html`
        <span>${t("skillFloods")}: <b>${num(alerts.hit)}</b> / ${num(floods)}${alerts.leads_s.length ? ` · ${span(median(alerts.leads_s))} ${t("skillLead")}` : ""}</span>
        <span>${t("skillFalse")}: <b>${num(alerts.false)}</b></span>
      `}
      ${depths.map(([lead, row]) => html`
        <span key=${lead}>${span(Number(lead))}: ${t("skillOff")} <b>${cm(row.off / row.n)} cm</b> (${t("skillKept")} ${cm(row.kept_off / row.n)} cm) · ${num((row.inside / row.n) * 100)} % ${t("skillInside")}</span>
      `)}
    </p>
  `;
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

function Made({ made }) {
  const age = Math.max(0, now.value - made.issued);
  return html`
    ${age > OLD_S && html`<b class="bad">${t("outlookOld")} </b>`}
    ${t("outlookMade")} ${clock(made.issued, false)} (${span(age)} ${t("ago")}) · ${num(made.members)} ${t("members")} · ${made.inputs}
  `;
}

function Street({ row }) {
  return html`
    <tr onClick=${() => open(row.segment)}>
      <td><b>${nameOf(row.segment)}</b> <span class="soft">${row.segment}</span></td>
      <td class="alert a${row.level}">${row.level ? t(`alert${row.level}`) : ""}</td>
      <td class="n">${row.over.length ? `${num((row.over[1] ?? 0) * 100)} %` : ""}</td>
      <td class="n"><span class="plate f${depthLevel(row.peak)}">${cm(row.peak)} cm</span> <span class="soft">${range(row)}</span></td>
      <td>${row.onset ? clock(row.onset, false) : under(row.segment) ? t("now") : ""}</td>
      <td>${row.end ? clock(row.end, false) : ""}</td>
      <td class="passages"><${Passages} row=${row} /></td>
      <td>${t(`cause_${row.cause ?? "unknown"}`)}</td>
      <td class="sample" title=${row.why}>${row.why}</td>
    </tr>
  `;
}

// Who cannot pass, from when to when, and how surely; a spell without an end goes on beyond the forecast.
function Passages({ row }) {
  return (row.closed ?? []).map((passage) => html`
    <span key=${passage.kind} class="passage">${t(passage.kind)} <b>${clock(passage.from, false)}–${passage.until ? clock(passage.until, false) : "…"}</b> <i>P ${num(passage.p, 1)}</i></span>
  `);
}

const under = (segment) => (peek("segments")[segment]?.level ?? 0) > 0;
const most = (list) => (list.length ? Math.max(...list) : 0);
const range = (row) => (row.v.length ? `${cm(most(row.low))}–${cm(most(row.high))}` : "");

// In a street's faceplate: the members' band over the hours ahead, and why it is warned of.
export function StreetOutlook({ segment }) {
  const row = rows("outlooks")[segment];
  if (!row?.lead_s?.length) return null;
  const made = run();
  return html`
    <h3>${t("outlook")} ${row.level ? html`<span class="alert a${row.level}">${t(`alert${row.level}`)}</span>` : ""}</h3>
    <${Band} row=${row} issued=${made?.issued ?? now.value} />
    <p class="soft">${t("colOver20")}: ${num((row.over[1] ?? 0) * 100)} % · ${t(`cause_${row.cause ?? "unknown"}`)}${row.onset ? ` · ${t("colOnset")} ${clock(row.onset, false)}` : ""}${row.why ? ` · ${row.why}` : ""}</p>
    ${row.closed?.length > 0 && html`<p class="passages">${t("colClosed")}: <${Passages} row=${row} /></p>`}
    ${row.because?.length > 0 && html`<${Chain} links=${row.because} />`}
  `;
}

function Band({ row, issued }) {
  const last = row.lead_s.at(-1);
  const top = Math.max(0.3, most(row.high)) * 1.1;
  const x = (lead) => (lead / last) * W;
  const y = (depth) => H - (depth / top) * H;
  const path = (list) => list.map((depth, i) => `${x(row.lead_s[i]).toFixed(1)},${y(depth).toFixed(1)}`).join(" ");
  const back = row.lead_s.map((lead, i) => `${x(lead).toFixed(1)},${y(row.low[i]).toFixed(1)}`).reverse().join(" ");
  return html`
    <svg class="band" viewBox="-2 -4 ${W + 40} ${H + 20}" role="img" aria-label=${t("outlook")}>
      ${[0.2, 0.5].filter((depth) => depth < top).map((depth) => html`
        <line key=${depth} x1="0" x2=${W} y1=${y(depth)} y2=${y(depth)} class="limit" />
        <text key=${`t${depth}`} x=${W + 4} y=${y(depth) + 4}>${cm(depth)} cm</text>
      `)}
      <polygon points="${path(row.high)} ${back}" />
      <polyline points=${path(row.v)} />
      <line x1="0" x2=${W} y1=${H} y2=${H} class="axis" />
      <text x="0" y=${H + 13}>${clock(issued, false)}</text>
      <text x=${W} y=${H + 13} text-anchor="end">${clock(issued + last, false)}</text>
    </svg>
  `;
}
