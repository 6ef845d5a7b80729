// Plays the scenario of a file against a server, and exits 1 when it or anything that the browser saw was wrong.
// What it is given stands as JSON in TASKYARD_SCENARIO; on failure it prints what there is to know.
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { AWAY, CLIPBOARD, copied, downloaded, fits, open, signIn } from "./browser.mjs";

// More text of a page than that tells nothing new.
const MOST_CHARS = 6000;

const given = JSON.parse(process.env.TASKYARD_SCENARIO);
const browser = await open(given);
const failure = await play();
const faults = browser.watch.faults;
if (failure || faults.length) await tell();
await browser.close();
process.exitCode = failure || faults.length ? 1 : 0;

async function play() {
  try {
    const { default: scenario } = await import(pathToFileURL(resolve(process.argv[2])).href);
    const page = await browser.visitor(given.options);
    await scenario({
      ...given,
      page,
      visitor: browser.visitor,
      axe: browser.axe,
      fits,
      downloaded,
      copied,
      CLIPBOARD,
      // Somebody else signs in with an email and a password of their own.
      signIn: (other = page, who = given) => signIn(other, who),
      allow: (pattern) => browser.watch.allow(pattern),
      // For scenarios in which the server goes away.
      allowAway: () => browser.watch.allow(AWAY),
      backstage,
    });
    return undefined;
  } catch (error) {
    return error;
  }
}

// Has something done by the test itself, by its name there, and gives back what that came to.
async function backstage(name, words = {}) {
  const answer = await fetch(`${given.backstage}/${name}`, {
    method: "POST",
    body: JSON.stringify(words),
  });
  if (!answer.ok) throw new Error(`backstage, ${name}: ${await answer.text()}`);
  return await answer.json();
}

async function tell() {
  if (failure) console.log(failure.stack ?? String(failure));
  if (faults.length) console.log(`\nwhat no page may do:\n${faults.join("\n")}`);
  if (browser.watch.lines.length) console.log(`\nconsole:\n${browser.watch.lines.join("\n")}`);
  for (const [index, page] of browser.pages.entries()) await tellPage(index, page);
}

async function tellPage(index, page) {
  try {
    const file = join(given.folder, `page-${index}.png`);
    console.log(`\n${page.url()}, ${file}`);
    await page.screenshot({ path: file, timeout: 5000 });
    console.log((await page.locator("body").innerText({ timeout: 5000 })).slice(0, MOST_CHARS));
  } catch (error) {
    console.log(`cannot be shown: ${error.message}`);
  }
}
