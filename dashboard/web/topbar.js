// The top bar: what a glance must catch, and whether the glance may be believed.
import { html } from "./html.js";
import { centre, inForce, link, now, open, rows, silence, site, stale, standing } from "./state.js";
import { clock, day, language, num, span, switchLanguage, t } from "./words.js";

const STEADY_M_H = 0.02; // a tide slower than that stands

export function TopBar() {
  const status = rows("status").centre ?? {};
  return html`
    <header class="top">
      <b class="brand">Causeway</b>
      <span class="city">${language.value === "vi" ? site.value.name : site.value.name_en}<span class="sub"> · ${t("subtitle")}</span></span>
      <time class="clock" title=${day(now.value)}>${clock(now.value)}</time>
      <${Counts} />
      <${TideNow} />
      <${RainNow} />
      <span class="spring"></span>
      <${Mark} status=${status} />
      <span class="operator">${centre.value.operator}@${site.value.id}</span>
      <button class="plain language" onClick=${switchLanguage} title="L" data-test="language">
        <span class=${language.value === "vi" ? "on" : ""}>VI</span>/<span class=${language.value === "en" ? "on" : ""}>EN</span>
      </button>
    </header>
  `;
}

function Counts() {
  return [1, 2].map((priority) => {
    const count = standing.value.filter((a) => a.priority === priority && a.state !== "ack").length;
    return html`<span key=${priority} class="count p${priority} ${count ? "on" : ""}" data-test="p${priority}">P${priority} · ${count}</span>`;
  });
}

function TideNow() {
  const gauges = Object.entries(rows("tide"));
  if (!gauges.length) return null;
  const [gauge, row] = gauges[0];
  const rate = row.rate_m_h;
  const trend = rate === null ? "" : rate > STEADY_M_H ? "▲" : rate < -STEADY_M_H ? "▼" : "▬";
  const name = site.value.gauges.find((g) => g.id === gauge)?.name ?? gauge;
  const levels = inForce(site.value.tide_levels.filter((l) => l.gauge === gauge), now.value)?.levels_m ?? [];
  const title = levels.map((m, i) => `${t("alarmLevel")}${i + 1} ${num(m, 2)} m`).join(" · ");
  return html`
    <button class="plain fact" onClick=${() => open(gauge)} title=${title} data-test="tide">
      ${shortTide(name)} <b>${num(row.stage_m, 2)} m</b>${" "}
      <span class="trend">${trend}</span>
      ${row.level > 0 && html`<span class="level l${row.level}">${t("alarmLevel")}${row.level}</span>`}
    </button>
  `;
}

// The gauge's own name, with the word for tide before it where it has none.
export function shortTide(name) {
  const bare = name.replace(/^(trạm\s+|triều\s+|thuỷ văn\s+|thủy văn\s+)+/iu, "");
  return `${t("tide")} ${bare}`;
}

function RainNow() {
  const gauges = Object.entries(rows("rain"));
  if (!gauges.length) return null;
  const [gauge, row] = gauges.reduce((a, b) => (b[1].mm_60min > a[1].mm_60min ? b : a));
  return html`
    <button class="plain fact" onClick=${() => open(gauge)} data-test="rain">
      ${t("rain60")} <b>${num(row.mm_60min)} mm</b>
    </button>
  `;
}

function Mark({ status }) {
  const word = link.value === "live" ? t(status.mark ?? "LIVE") : t(link.value === "lost" ? "lost" : "connecting");
  const fast = status.speed && status.speed !== 1 ? ` · ×${num(status.speed, status.speed % 1 ? 1 : 0)}` : "";
  const delay = stale.value ? silence.value : centre.value.delay;
  const state = stale.value || link.value !== "live" ? "bad" : "good";
  return html`
    <span class="mark ${state} ${status.mark === "DEMO" ? "demo" : ""}" data-test="mark">
      <b>${word}</b> <span class="dot">●</span> ${t("delay")} ${span(delay)}${fast}
    </span>
  `;
}

// A picture that is not of now must not look like one: said over the map, and the page goes grey.
export function StaleBanner() {
  if (!stale.value || !centre.value.at) return null;
  const lost = link.value === "lost";
  return html`
    <div class="banner stale" role="alert" data-test="stale">
      <b>${lost ? t("lost") : t("stale")}</b>
      <span>${t("staleSince")} ${clock(centre.value.at)} · ${span(silence.value)} ${t("ago")} — ${t("doNotTrust")}</span>
      ${lost && html`<span>${t("reconnecting")}</span>`}
    </div>
  `;
}

