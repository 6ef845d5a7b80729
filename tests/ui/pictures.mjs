// Takes pictures of pages as they are now: light and dark, on a desk and on a phone. The same page gives the same
// picture: its clock stands still, and what the server tells of times is moved to fit, see `settled`.
import { writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { AWAY, fits, open, signIn } from "./browser.mjs";

const WINDOWS = {
  desktop: { viewport: { width: 1280, height: 800 } },
  phone: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
};

// The moment of all pictures.
const NOW = "2026-03-02T10:00:00Z";

// Of WebP: edges of letters begin to blur below it.
const QUALITY = 0.75;

// Milliseconds between two looks that must be the same.
const STILL_MS = 300;

const given = JSON.parse(process.env.TASKYARD_SCENARIO);
const browser = await open(given);
browser.watch.allow(AWAY);
const dark = await browser.visitor(); // where pictures are packed; no page of ours
let failed = false;
await visit(given.colorScheme, given.window, WINDOWS[given.window]);
await browser.close();
if (browser.watch.faults.length) console.log(browser.watch.faults.join("\n"));
process.exitCode = failed || browser.watch.faults.length ? 1 : 0;

async function visit(colorScheme, name, window) {
  const page = await browser.visitor({
    ...window,
    colorScheme,
    locale: "en-GB",
    timezoneId: "UTC",
  });
  await page.clock.setFixedTime(NOW);
  await page.addInitScript(settled, { ...given.times, now: NOW, taken: Date.now() });
  if (given.email) await signIn(page, given);
  for (const picture of given.pictures) {
    const file = join(given.folder, `${picture.name}-${colorScheme}-${name}`);
    try {
      await take(page, picture, file);
    } catch (error) {
      failed = true;
      console.log(`${file}: ${error}\n${browser.watch.lines.join("\n")}`);
      const text = page.locator("body").innerText({ timeout: 5000 });
      console.log(await text.catch(() => "the page has no text"));
    }
  }
  await page.context().close();
}

// Waits for words of the page, and until nothing of it says that it is still coming; answers that grow are whole so far.
async function take(page, { path, words, steps, told, offline }, file) {
  for (const [url, change] of Object.entries(told)) await tell(page, url, change);
  await page.goto(path);
  for (const step of steps) await act(page, step);
  if (offline) {
    await page.getByText(offline).filter({ visible: true }).first().waitFor();
    await page.context().setOffline(true);
  }
  await page.getByText(new RegExp(words, "i")).filter({ visible: true }).first().waitFor();
  await page.locator('[aria-busy="true"]:not(article)').first().waitFor({ state: "detached" });
  await fits(page);
  const png = await still(page);
  if (given.png) writeFileSync(join(given.png, `${basename(file)}.png`), png);
  writeFileSync(`${file}.webp`, await packed(png));
  if (offline) await page.context().setOffline(false);
  await page.unrouteAll({ behavior: "ignoreErrors" });
}

// The picture of a page that looks the same for a while; pages that move all the time are taken as they are then.
async function still(page) {
  let before = null;
  for (let tries = 0; tries < 20; tries += 1) {
    const png = await page.screenshot({ animations: "disabled" });
    if (before?.equals(png)) return png;
    before = png;
    await page.waitForTimeout(STILL_MS);
  }
  return before;
}

// Changes some keys of what the server answers.
async function tell(page, url, change) {
  await page.route(url, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...(await response.json()), ...change } });
  });
}

// A click, as a person does it, on what has this name; then words may be typed.
async function act(page, { role, name, type }) {
  const target = page.getByRole(role, { name: new RegExp(name, "i") }).filter({ visible: true });
  await target.first().click();
  if (type !== null) await page.keyboard.type(type);
}

async function packed(png) {
  const url = await dark.evaluate(
    async ([base64, quality]) => {
      const picture = new Image();
      picture.src = `data:image/png;base64,${base64}`;
      await picture.decode();
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [picture.width, picture.height];
      canvas.getContext("2d").drawImage(picture, 0, 0);
      return canvas.toDataURL("image/webp", quality);
    },
    [png.toString("base64"), QUALITY],
  );
  return Buffer.from(url.slice(url.indexOf(",") + 1), "base64");
}

// Runs in the page, before its own scripts: whatever JSON it reads tells times that fit the clock that stands still.
// made: when each task was made, and how many seconds ago that shall be; what comes after belongs to it. same: patterns
// of what differs each time, and what is shown in their place.
function settled({ made, same, phases, now, taken }) {
  const fixed = Date.parse(now);
  const starts = made.map(([at, age]) => [Date.parse(at), fixed - (age + 90) * 1000]);
  const replaced = same.map(([pattern, text]) => [new RegExp(pattern, "g"), text]);
  const SETTLING = 9 * 86_400_000; // before the first task: days ago
  const move = (at) => {
    if (at > taken + 3_600_000) return fixed + (at - taken);
    const last = starts.findLast(([start]) => start <= at + 1);
    if (!last) return fixed - SETTLING;
    return Math.min(last[1] + (at - last[0]), fixed);
  };
  const parse = JSON.parse;
  JSON.parse = (text, reviver) => {
    let told = String(text).replace(
      /"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d))"/g,
      (whole, at) =>
        at.startsWith("0001") ? whole : `"${new Date(move(Date.parse(at))).toISOString()}"`,
    );
    for (const [pattern, instead] of replaced) told = told.replace(pattern, instead);
    return parse(told, (key, value) => {
      if (typeof value?.ms === "number" && value.phase in phases) value.ms = phases[value.phase];
      return reviver ? reviver(key, value) : value;
    });
  };
}
