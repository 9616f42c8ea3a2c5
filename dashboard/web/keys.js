// The keyboard: every act on the page has a key, and no key acts while somebody types.
import { acknowledge, moveSelection, openAlarm, startShelving } from "./alarms.js";
import { deciding, proposals, startDeciding } from "./closures.js";
import { toggleDrawer } from "./drawer.js";
import { close } from "./faceplate.js";
import { mapView, wholeCity, zoomMap } from "./map.js";
import { cancel, order } from "./order.js";
import { backToLive, togglePlay } from "./replay.js";
import { dialog, drawer, goTo, replayAt, selected, selectedAlarm, shelving, site } from "./state.js";
import { switchLanguage } from "./words.js";

const PAN_PX = 120;

const typing = (target) => target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

// What Esc leaves: the topmost thing that is open.
function leave() {
  if (dialog.value) dialog.value = "";
  else if (shelving.value) shelving.value = "";
  else if (deciding.value) deciding.value = null;
  else if (order.value) cancel();
  else if (drawer.value) drawer.value = "";
  else if (selected.value) close();
  else if (replayAt.value) backToLive();
  else selectedAlarm.value = "";
}

function pan(dx, dy) {
  const view = mapView();
  if (!view) return;
  view.moveBy(dx, dy);
  goTo.value = { at: view.center, zoom: view.zoom };
}

function decideFirst(approved) {
  const first = proposals()[0];
  if (first) startDeciding(first.segment, approved);
}

const ACTS = {
  ArrowDown: () => moveSelection(1),
  ArrowUp: () => moveSelection(-1),
  a: () => acknowledge(selectedAlarm.value),
  s: () => startShelving(selectedAlarm.value),
  Enter: () => openAlarm(selectedAlarm.value),
  y: () => decideFirst(true),
  n: () => decideFirst(false),
  c: () => toggleDrawer("closures"),
  k: () => toggleDrawer("commands"),
  g: () => toggleDrawer("sources"),
  f: () => toggleDrawer("outlook"),
  t: () => site.value?.arterials.length && toggleDrawer("arterial"),
  l: switchLanguage,
  "/": () => (dialog.value = "find"),
  "?": () => (dialog.value = "help"),
  "+": () => zoomMap(0.7),
  "=": () => zoomMap(0.7),
  "-": () => zoomMap(-0.7),
  0: wholeCity,
  " ": togglePlay,
};
const PANS = { ArrowLeft: [PAN_PX, 0], ArrowRight: [-PAN_PX, 0], ArrowUp: [0, PAN_PX], ArrowDown: [0, -PAN_PX] };

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    leave();
    event.preventDefault();
    return;
  }
  if (typing(event.target) || dialog.value || shelving.value) return;
  // a focused button answers Enter and Space itself
  if ((event.key === "Enter" || event.key === " ") && event.target instanceof HTMLButtonElement) return;
  if (event.shiftKey && PANS[event.key]) pan(...PANS[event.key]);
  else {
    const act = ACTS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    act();
  }
  event.preventDefault();
}

export function watchKeys() {
  addEventListener("keydown", press);
  return () => removeEventListener("keydown", press);
}
