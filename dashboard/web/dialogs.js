// Find anything by name or id; the list of keys.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "./html.js";
import { kindWord } from "./map.js";
import { assets, dialog, goTo, selected } from "./state.js";
import { t } from "./words.js";

const SHOWN_MAX = 12;
const bare = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").replace(/[đĐ]/g, "d").toLowerCase();

// The id itself first, then what begins so, then what has it anywhere.
function closeness(asset, part) {
  if (asset.id === part) return 0;
  return asset.id.startsWith(part) || bare(asset.name).startsWith(part) ? 1 : 2;
}

function matches(words) {
  const parts = bare(words).split(/\s+/).filter(Boolean);
  if (!parts.length) return [];
  const found = [];
  for (const asset of assets.value.values()) {
    const text = `${bare(asset.name)} ${asset.id} ${bare(kindWord(asset))}`;
    if (parts.every((part) => text.includes(part))) found.push({ asset, score: closeness(asset, parts[0]) });
  }
  return found.sort((a, b) => a.score - b.score || (a.asset.name < b.asset.name ? -1 : 1)).slice(0, SHOWN_MAX).map((f) => f.asset);
}

export function FindDialog() {
  const [words, setWords] = useState("");
  const [at, setAt] = useState(0);
  const input = useRef(null);
  const shown = dialog.value === "find";
  useLayoutEffect(() => {
    setWords("");
    setAt(0);
    input.current?.focus();
  }, [shown]);
  if (!shown) return null;
  const found = matches(words);
  const choose = (asset) => {
    dialog.value = "";
    selected.value = asset.id;
    if (asset.at) goTo.value = { at: asset.at, near: true };
  };
  const press = (event) => {
    if (event.key === "ArrowDown") setAt(Math.min(found.length - 1, at + 1));
    else if (event.key === "ArrowUp") setAt(Math.max(0, at - 1));
    else if (event.key === "Enter" && found[at]) choose(found[at]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return html`
    <div class="veil" onClick=${(e) => e.target === e.currentTarget && (dialog.value = "")}>
      <div class="dialog find" role="dialog" aria-modal="true" aria-label=${t("find")} data-test="find">
        <input ref=${input} type="search" placeholder=${t("findHint")} value=${words} onKeyDown=${press}
          onInput=${(e) => { setWords(e.target.value); setAt(0); }} />
        <ul>
          ${found.map((asset, i) => html`
            <li key=${asset.id}><button class="plain ${i === at ? "on" : ""}" onClick=${() => choose(asset)}>
              <b>${asset.name}</b> <span class="soft">${kindWord(asset)} · ${asset.id}</span>
            </button></li>
          `)}
          ${words && !found.length && html`<li class="soft">${t("nothingFound")}</li>`}
        </ul>
      </div>
    </div>
  `;
}

const KEYS = [
  ["↑ ↓", "keyMove"], ["A", "acknowledge"], ["S", "shelve"], ["Enter", "keyOpen"],
  ["Y · N", "keyYesNo"], ["C", "closures"], ["K", "commands"], ["G", "sources"], ["T", "arterial"], ["/", "find"],
  ["+ − 0", "keyMap"], ["Shift + ← → ↑ ↓", "keyPan"], ["Space", "keyReplay"], ["L", "keyLanguage"], ["Esc", "keyClose"],
];

export function HelpDialog() {
  if (dialog.value !== "help") return null;
  return html`
    <div class="veil" onClick=${(e) => e.target === e.currentTarget && (dialog.value = "")}>
      <div class="dialog help" role="dialog" aria-modal="true" aria-label=${t("helpTitle")} data-test="help">
        <h2>${t("helpTitle")}</h2>
        <dl>${KEYS.map(([key, word]) => html`<div key=${key}><dt><kbd>${key}</kbd></dt><dd>${t(word)}</dd></div>`)}</dl>
        <button onClick=${() => (dialog.value = "")}>${t("close")} <kbd>Esc</kbd></button>
      </div>
    </div>
  `;
}
