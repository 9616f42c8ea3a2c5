// Builds the page: loads the city, opens the feed, lays out the panes.
import { render } from "preact";
import { useEffect } from "preact/hooks";
import { AlarmPane, ShelveDialog } from "./alarms.js";
import { BottomBar } from "./bottom.js";
import { CameraPane } from "./cameras.js";
import { ClosureCards } from "./closures.js";
import { Drawer } from "./drawer.js";
import { FacePlate } from "./faceplate.js";
import { connect, startTicking } from "./feed.js";
import { FindDialog, HelpDialog } from "./dialogs.js";
import { html } from "./html.js";
import { watchKeys } from "./keys.js";
import { MapPane } from "./map.js";
import { ReplayBanner } from "./replay.js";
import { loadSite, site, siteFailed, stale } from "./state.js";
import { StaleBanner, TopBar } from "./topbar.js";
import { TrendPane } from "./trends.js";
import { language, t } from "./words.js";

function Wall() {
  useEffect(watchKeys, []);
  document.documentElement.lang = language.value;
  if (!site.value) {
    return html`<div class="loading">${siteFailed.value ? `${t("siteFailed")}: ${siteFailed.value}` : t("loading")}</div>`;
  }
  return html`
    <div class="wall ${stale.value ? "is-stale" : ""}">
      <${TopBar} />
      <main class="stage">
        <${MapPane} />
        <${StaleBanner} />
        <${ReplayBanner} />
        <${FacePlate} />
        <${Drawer} />
      </main>
      <aside class="side">
        <${AlarmPane} />
        <${ClosureCards} />
        <${TrendPane} />
        <${CameraPane} />
      </aside>
      <${BottomBar} />
      <${ShelveDialog} />
      <${FindDialog} />
      <${HelpDialog} />
    </div>
  `;
}

async function start() {
  render(html`<${Wall} />`, document.getElementById("wall"));
  for (let tries = 0; !site.value; tries += 1) {
    try {
      await loadSite();
    } catch (error) {
      siteFailed.value = error.message;
      await new Promise((done) => setTimeout(done, Math.min(5000, 500 * 2 ** tries)));
    }
  }
  document.title = `Causeway · ${site.value.name}`;
  connect();
  startTicking();
}

start();
