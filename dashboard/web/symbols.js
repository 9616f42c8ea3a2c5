// Draws one asset each: small, grey, of its own shape; filled or open by what it does, never coloured by it.
import { CLOSED, PAPER, PRIORITY, TEXT, font } from "./palette.js";

const INK = "#23292e";
const OFF = "#9aa1a6";

function outlined(c, fill, ink = INK, width = 1.2) {
  c.fillStyle = fill;
  c.fill();
  c.strokeStyle = ink;
  c.lineWidth = width;
  c.stroke();
}

export function signal(c, x, y, size, known) {
  c.beginPath();
  c.rect(x - size, y - size, 2 * size, 2 * size);
  outlined(c, known ? PAPER : OFF);
}

export function camera(c, x, y, size, bearing_deg, ok, near) {
  c.save();
  c.translate(x, y);
  c.rotate((bearing_deg * Math.PI) / 180);
  if (near) {
    c.beginPath();
    c.moveTo(0, 0);
    c.lineTo(-size * 2.2, -size * 4.2);
    c.lineTo(size * 2.2, -size * 4.2);
    c.closePath();
    c.fillStyle = "rgba(35, 41, 46, 0.10)";
    c.fill();
  }
  c.beginPath();
  c.moveTo(0, -size * 1.35);
  c.lineTo(size, size * 0.9);
  c.lineTo(-size, size * 0.9);
  c.closePath();
  outlined(c, ok ? INK : OFF, INK, 1);
  c.restore();
}

// ISO 10628: a circle with the flow's triangle; light when it runs.
export function station(c, x, y, size, running, count) {
  c.beginPath();
  c.arc(x, y, size, 0, 2 * Math.PI);
  outlined(c, running ? PAPER : OFF, INK, 1.4);
  c.beginPath();
  c.moveTo(x + size * 0.9, y);
  c.lineTo(x - size * 0.45, y - size * 0.78);
  c.lineTo(x - size * 0.45, y + size * 0.78);
  c.closePath();
  c.strokeStyle = INK;
  c.lineWidth = 1.2;
  c.stroke();
  if (count) {
    c.font = font(11, 600);
    c.textAlign = "left";
    c.textBaseline = "middle";
    haloed(c, count, x + size + 4, y);
  }
}

// A gate between its two piers: the leaf is down when closed.
export function gate(c, x, y, size, opening) {
  c.beginPath();
  c.rect(x - size, y - size, 2 * size, 2 * size);
  outlined(c, PAPER, INK, 1.2);
  const shut = opening === null || opening === undefined ? 0 : 1 - opening;
  c.fillStyle = INK;
  c.fillRect(x - size + 2, y - size + 2, 2 * size - 4, Math.max(1.5, (2 * size - 4) * shut));
  if (opening === null || opening === undefined) question(c, x, y, size);
}

// A drainage node: a storage is a square, an outfall a triangle, a manhole a dot.
export function node(c, x, y, size, kind, ink) {
  c.beginPath();
  if (kind === "storage") c.rect(x - size, y - size, 2 * size, 2 * size);
  else if (kind === "outfall") {
    c.moveTo(x - size, y - size);
    c.lineTo(x + size, y - size);
    c.lineTo(x, y + size);
    c.closePath();
  } else c.arc(x, y, size, 0, 2 * Math.PI);
  c.fillStyle = ink;
  c.fill();
}

// What lets water pass between two nodes: a pump is a circle, all else a gate.
export function passage(c, x, y, size, kind, ink) {
  c.beginPath();
  if (kind === "pump") c.arc(x, y, size, 0, 2 * Math.PI);
  else c.rect(x - size, y - size / 2, 2 * size, size);
  outlined(c, PAPER, ink, 1.2);
}

export function question(c, x, y, size) {
  c.font = font(Math.max(10, size * 1.5), 700);
  c.textAlign = "center";
  c.textBaseline = "middle";
  haloed(c, "?", x, y);
}

// A level gauge: the surveyor's inverted triangle over the water's line.
export function gauge(c, x, y, size, kind, known) {
  c.beginPath();
  if (kind === "rain") {
    c.moveTo(x, y - size * 1.4);
    c.quadraticCurveTo(x + size * 1.2, y + size * 0.1, x, y + size);
    c.quadraticCurveTo(x - size * 1.2, y + size * 0.1, x, y - size * 1.4);
  } else {
    c.moveTo(x - size, y - size);
    c.lineTo(x + size, y - size);
    c.lineTo(x, y + size * 0.7);
    c.closePath();
  }
  outlined(c, known ? (kind === "tide" ? INK : PAPER) : OFF, INK, 1.2);
  if (kind !== "rain") {
    c.beginPath();
    c.moveTo(x - size, y + size * 1.1);
    c.lineTo(x + size, y + size * 1.1);
    c.strokeStyle = INK;
    c.stroke();
  }
}

export function sign(c, x, y, size, lit) {
  c.beginPath();
  c.rect(x - size * 1.5, y - size, size * 3, size * 2);
  outlined(c, lit ? INK : PAPER, INK, 1.2);
  c.strokeStyle = lit ? PAPER : OFF;
  c.lineWidth = 1.2;
  c.beginPath();
  for (const row of [-0.4, 0.3]) {
    c.moveTo(x - size, y + row * size);
    c.lineTo(x + size, y + row * size);
  }
  c.stroke();
}

// The no-entry plate of a closed road.
export function closure(c, x, y, size) {
  c.beginPath();
  c.arc(x, y, size, 0, 2 * Math.PI);
  outlined(c, CLOSED, PAPER, 2);
  c.fillStyle = PAPER;
  c.fillRect(x - size * 0.6, y - size * 0.18, size * 1.2, size * 0.36);
}

// A priority's shape (ISA-18.2: told by form and number too, not by colour alone).
export function priorityPath(c, x, y, size, priority) {
  c.beginPath();
  if (priority === 1) c.rect(x - size, y - size, 2 * size, 2 * size);
  else if (priority === 2) {
    c.moveTo(x, y - size * 1.15);
    c.lineTo(x + size * 1.15, y + size * 0.95);
    c.lineTo(x - size * 1.15, y + size * 0.95);
    c.closePath();
  } else if (priority === 3) {
    c.moveTo(x - size * 1.15, y - size * 0.95);
    c.lineTo(x + size * 1.15, y - size * 0.95);
    c.lineTo(x, y + size * 1.15);
    c.closePath();
  } else c.arc(x, y, size, 0, 2 * Math.PI);
}

export function badge(c, x, y, priority, waiting, lit) {
  const size = 6.5;
  if (waiting && lit) {
    priorityPath(c, x, y, size + 4, priority);
    c.strokeStyle = PRIORITY[priority];
    c.lineWidth = 2;
    c.stroke();
  }
  priorityPath(c, x, y, size, priority);
  outlined(c, PRIORITY[priority], PAPER, 1.2);
  c.fillStyle = priority === 3 ? TEXT : PAPER;
  c.font = font(9.5, 700);
  c.textAlign = "center";
  c.textBaseline = "middle";
  c.fillText(String(priority), x, y + (priority === 2 ? 1.5 : priority === 3 ? -1 : 0.5));
}

export function haloed(c, text, x, y, ink = TEXT) {
  c.strokeStyle = "rgba(246, 247, 247, 0.92)";
  c.lineWidth = 3;
  c.lineJoin = "round";
  c.strokeText(text, x, y);
  c.fillStyle = ink;
  c.fillText(text, x, y);
}

// A value in a white plate with a frame of its level's ink.
export function plate(c, text, x, y, ink, under = "") {
  c.font = font(13, 700);
  const width = Math.max(c.measureText(text).width + 16, 46);
  c.beginPath();
  c.rect(x - width / 2, y - 11, width, 22);
  outlined(c, PAPER, ink, 2.5);
  c.fillStyle = TEXT;
  c.textAlign = "center";
  c.textBaseline = "middle";
  c.fillText(text, x, y + 0.5);
  if (under) {
    c.font = font(11, 600);
    haloed(c, under, x, y + 19);
  }
}
