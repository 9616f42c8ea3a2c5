// The past of a point: asked of the store once, then lengthened by what the feed brings.
import { effect, signal } from "@preact/signals";
import { peek, rows, site } from "./state.js";

const KEPT_MAX = 96; // points whose past is held: all streets of a replay, and what the charts show
const ROWS_MAX = 6000;
const AGAIN_MS = 10000;

const held = new Map();

class Past {
  constructor(point) {
    this.point = point;
    this.at = [];
    this.v = [];
    this.minutes = 0;
    this.version = signal(0);
    this.failed = signal("");
    this.asking = false;
    this.askedAt = -AGAIN_MS;
  }

  // Have the last so many minutes; asks the store where it has not yet.
  async reach(minutes) {
    const again = this.failed.peek() && performance.now() - this.askedAt > AGAIN_MS;
    if (this.asking || (minutes <= this.minutes && !again)) return;
    this.asking = true;
    this.askedAt = performance.now();
    try {
      const answer = await fetch(`/api/trend?point=${encodeURIComponent(this.point)}&minutes=${minutes}`);
      const told = await answer.json();
      if (!answer.ok) throw new Error(told.why);
      this.join(told);
      this.failed.value = "";
    } catch (error) {
      this.failed.value = error.message;
    }
    this.minutes = minutes;
    this.asking = false;
    this.version.value = this.version.peek() + 1;
  }

  // What was stored, then what has come since.
  join(told) {
    const usable = told.q.map((q) => q < 2);
    const at = told.at.filter((_, i) => usable[i]);
    const v = told.v.filter((_, i) => usable[i]);
    const last = at.at(-1) ?? 0;
    const since = this.at.findIndex((a) => a > last);
    if (since >= 0) {
      at.push(...this.at.slice(since));
      v.push(...this.v.slice(since));
    }
    this.at = at;
    this.v = v;
  }

  append(row) {
    if (!row || row.q > 1 || row.at <= (this.at.at(-1) ?? 0)) return;
    this.at.push(row.at);
    this.v.push(row.v);
    if (this.at.length > ROWS_MAX) {
      this.at.splice(0, ROWS_MAX / 4);
      this.v.splice(0, ROWS_MAX / 4);
    }
    this.version.value = this.version.peek() + 1;
  }
}

export function pastOf(point, minutes) {
  let past = held.get(point);
  if (past) held.delete(point);
  else past = new Past(point);
  held.set(point, past); // the last asked for is the last to go
  if (held.size > KEPT_MAX) held.delete(held.keys().next().value);
  if (site.value?.points[point]) past.reach(minutes);
  return past;
}

effect(() => {
  rows("points");
  for (const past of held.values()) past.append(peek("points")[past.point]);
});

// The value of a point at an instant, of arrays that rise in time; null where there is none near.
export function valueAt(at, v, instant, near_s = 180) {
  let [low, high] = [0, at.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at[middle] <= instant) low = middle + 1;
    else high = middle;
  }
  return low && instant - at[low - 1] <= near_s ? v[low - 1] : null;
}

