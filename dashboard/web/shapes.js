// The priority shapes in the lists: the same forms as on the map.
import { html } from "./html.js";

const FORMS = {
  1: html`<rect x="1.5" y="1.5" width="17" height="17" />`,
  2: html`<path d="M10 1 19 18.5H1Z" />`,
  3: html`<path d="M1 1.5H19L10 19Z" />`,
  4: html`<circle cx="10" cy="10" r="8.7" />`,
};

export function Shape({ priority, waiting = false }) {
  const y = { 2: 16, 3: 11.5 }[priority] ?? 14.2;
  return html`
    <svg class="shape p${priority} ${waiting ? "waiting" : ""}" viewBox="0 0 20 20" role="img" aria-label="P${priority}">
      ${FORMS[priority]}
      <text x="10" y=${y} text-anchor="middle">${priority}</text>
    </svg>
  `;
}
