"""Tells what was found beside what was to be found: a table, a summary, a page with pictures."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

from scipy.stats import beta

from benchmarks.incidents.found import Found, Truth, false_alarms, matched
from benchmarks.incidents.synthetic import WITHIN_S, WRONG_WAY_WITHIN_S


def table(founds: dict[str, Found], truths: dict[str, Truth]) -> str:
    """One line a video, and the sums with their exact intervals."""
    width = max(len(name) for name in founds)
    lines = [f"{'video':{width}}  {'count':>9}  {'cpu/s':>6}  found"]
    for name, found in founds.items():
        truth = truths.get(name)
        wanted = truth.count if truth else None
        count = "-" if found.count is None else str(found.count)
        count += "" if wanted is None else f" of {wanted}"
        cost = found.cpu_s / found.duration_s if found.duration_s else 0.0
        lines.append(f"{name:{width}}  {count:>9}  {cost:6.3f}  {_words(found, truth)}")
    told = summary(founds, truths)
    judged = sum(truth.incidents is not None for truth in truths.values())
    low, high = interval(int(told["detected"]), int(told["of"]))
    lines.append(
        f"found {told['detected']} of {told['of']} incidents (95 %: {low:.2f} to {high:.2f}); "
        f"{told['false_alarms']} false alarms in {judged} videos with a truth"
    )
    return "\n".join(lines)


def summary(founds: dict[str, Found], truths: dict[str, Truth]) -> dict[str, int]:
    """Incidents of the truth that were found, and alarms that no truth asks for."""
    detected = of = alarms = 0
    for name, truth in truths.items():
        found = founds[name].incidents
        of += len(truth.incidents or ())
        detected += sum(matched(w, found) is not None for w in truth.incidents or ())
        alarms += len(false_alarms(truth, found))
    return {"detected": detected, "of": of, "false_alarms": alarms}


def synthetic(founds: dict[str, Found]) -> dict[str, dict[str, float]]:
    """By made fault: told in time, of so many clips, and the longest that it took."""
    made: dict[str, dict[str, float]] = {}
    for found in founds.values():
        for fault, seconds in found.synthetic.items():
            limit_s = WRONG_WAY_WITHIN_S if fault == "reversed" else WITHIN_S
            row = made.setdefault(fault, {"told": 0, "of": 0, "longest_s": 0.0})
            row["of"] += 1
            if seconds is not None and seconds <= limit_s:
                row["told"] += 1
                row["longest_s"] = max(row["longest_s"], seconds)
    return made


def made_table(made: dict[str, dict[str, float]]) -> str:
    lines = ["made faults on the same clips:"]
    for fault, row in made.items():
        low, high = interval(int(row["told"]), int(row["of"]))
        lines.append(
            f"  {fault:10} told {row['told']:.0f} of {row['of']:.0f} "
            f"(95 %: {low:.2f} to {high:.2f}), within {row['longest_s']:.1f} s"
        )
    return "\n".join(lines)


def interval(hits: int, of: int) -> tuple[float, float]:
    """95 % confidence of a share, exact (Clopper and Pearson 1934)."""
    if not of:
        return 0.0, 1.0
    low = float(beta.ppf(0.025, hits, of - hits + 1)) if hits else 0.0
    high = float(beta.ppf(0.975, hits + 1, of - hits)) if hits < of else 1.0
    return low, high


def _words(found: Found, truth: Truth | None) -> str:
    if found.error:
        return f"broken: {found.error}"
    words = [f"{i.kind} {i.start_s:.1f}-{i.end_s:.1f} s" for i in found.incidents]
    words += [f"({s.state} {s.start_s:.1f}-{s.end_s:.1f} s)" for s in found.states]
    if truth is not None:
        missed = [w.kind for w in truth.incidents or () if matched(w, found.incidents) is None]
        words += [f"MISSED {kind}" for kind in missed]
        words += [f"FALSE {i.kind}" for i in false_alarms(truth, found.incidents)]
    return ", ".join(words) or "nothing"


def page(founds: dict[str, Found], truths: dict[str, Truth], folder: Path) -> str:
    """An HTML page that needs no other file: the table, and a picture of each hit and alarm."""
    parts = [f"<pre>{escape(table(founds, truths))}</pre>"]
    for name, found in founds.items():
        parts.append(f"<h2>{escape(name)}</h2><p>{escape(_words(found, truths.get(name)))}</p>")
        for incident, file in zip(found.incidents, found.pictures, strict=False):
            picture = base64.b64encode((folder / file).read_bytes()).decode()
            words = f"{incident.kind} at {incident.start_s:.1f} s: {incident.why}"
            parts.append(
                f'<figure><img alt="" src="data:image/jpeg;base64,{picture}">'
                f"<figcaption>{escape(words)}</figcaption></figure>"
            )
    style = (
        "body{font:15px system-ui;margin:2em;max-width:70em}img{max-width:100%}pre{overflow:auto}"
    )
    head = f'<meta charset="utf-8"><title>Detectors</title><style>{style}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>'
