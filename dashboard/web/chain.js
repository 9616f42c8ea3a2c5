// A cause chain: from an event back to the input that began it, as the feed tells it or as the journal has it.
import { useEffect, useState } from "preact/hooks";
import { html } from "./html.js";
import { clock, t } from "./words.js";

const LINKS_MAX = 12;

// `links` as in the closures table: [{address, kind, text, at}], the effect first.
export function Chain({ links }) {
  return html`
    <ol class="chain">
      ${links.toReversed().map((link) => html`
        <li key=${link.address}>
          <time>${clock(link.at)}</time>
          <b>${t(link.kind)}</b>
          <small title=${t("step")}>${link.address}</small>
          <span>${link.text}</span>
        </li>
      `)}
    </ol>
  `;
}

// The chain of an address that the feed tells nothing of: read from the journal, step by step.
export function JournalChain({ address }) {
  const [links, setLinks] = useState(null);
  useEffect(() => {
    let wanted = true;
    readChain(address).then((read) => wanted && setLinks(read));
    return () => {
      wanted = false;
    };
  }, [address]);
  if (!links) return html`<p class="soft">…</p>`;
  if (!links.length) return html`<p class="soft">${t("noHistory")}</p>`;
  return html`<${Chain} links=${links} />`;
}

async function readChain(address) {
  const links = [];
  const steps = new Map();
  let [number, index] = address.split("-").map(Number);
  while (links.length < LINKS_MAX) {
    if (!steps.has(number)) {
      const answer = await fetch(`/api/step/${number}`).catch(() => null);
      if (!answer?.ok) break;
      steps.set(number, await answer.json());
    }
    const step = steps.get(number);
    const event = step.events[index];
    if (!event) break;
    links.push({ address: `${number}-${index}`, kind: event.type, text: inWords(event), at: step.at_ns / 1e9 });
    if (!event.because) break;
    [number, index] = event.because;
  }
  return links;
}

const SAID = ["pump", "gate", "junction", "sign", "circuit", "segment", "gauge", "camera", "target", "source", "alarm"];

function inWords(event) {
  const subject = SAID.map((name) => event[name]).find((value) => value !== undefined) ?? "";
  const said = [];
  if (event.run !== undefined) said.push(event.run ? t("run") : t("stop"));
  if (event.opening_ratio !== undefined) said.push(`${Math.round(event.opening_ratio * 100)} %`);
  if (event.level_ratio !== undefined) said.push(`${Math.round(event.level_ratio * 100)} %`);
  if (event.stage !== undefined) said.push(event.stage);
  if (event.depth_m !== undefined) said.push(`${Math.round(event.depth_m * 100)} cm`);
  if (event.text) said.push(`“${event.text}”`);
  if (event.action !== undefined) said.push(t(event.action));
  if (event.plans) said.push(`${event.plans.length}`);
  if (event.points) said.push(`${event.points.length}`);
  if (event.by) said.push(event.by);
  if (event.why) said.push(event.why);
  return [subject, ...said].join(" · ");
}
