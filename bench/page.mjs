// Visits the list of tasks again and again, each time as a browser that was never there; prints what each took as JSON.
import { open } from "../tests/ui/browser.mjs";

const given = JSON.parse(process.env.TASKYARD_SCENARIO);
const browser = await open(given);
const visits = [];
for (let round = 0; round < given.rounds; round += 1) {
  visits.push({ floor: await plain(), ...(await list()) });
}
await browser.close();
console.log(JSON.stringify(visits));

// A document of the same server that shows nothing.
async function plain() {
  const page = await browser.visitor();
  await page.goto("/healthz");
  const took = await page.evaluate(
    () => performance.getEntriesByType("navigation")[0].loadEventStart,
  );
  await page.context().close();
  return took;
}

async function list() {
  const page = await browser.visitor();
  await page
    .context()
    .addCookies([{ name: "coder_session_token", value: given.token, url: given.address }]);
  await page.addInitScript(watchRows);
  const network = await page.context().newCDPSession(page);
  const asked = new Map();
  let bytes = 0;
  network.on("Network.requestWillBeSent", ({ requestId, request }) =>
    asked.set(requestId, new URL(request.url).pathname),
  );
  network.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    if (!asked.get(requestId)?.startsWith("/api/")) bytes += encodedDataLength;
  });
  await network.send("Network.enable");
  await page.goto("/tasks");
  const { row, interactive } = await (
    await page.waitForFunction(() => window.seen.interactive && window.seen)
  ).jsonValue();
  const asking = await page.evaluate(
    () =>
      performance
        .getEntriesByType("resource")
        .find(
          ({ name }) => new URL(name).pathname === "/api/v2/tasks" && name.includes("page_size"),
        ).startTime,
  );
  const took = { bytes, interactive, row: row - asking };
  await page.context().close();
  return took;
}

// Runs in the page, before its own scripts: when the first row is there, and when the page answers after that.
function watchRows() {
  window.seen = {};
  const watcher = new MutationObserver(() => {
    if (!document.querySelector('#task-list [id^="task-"]')) return;
    watcher.disconnect();
    window.seen.row = performance.now();
    requestAnimationFrame(() =>
      setTimeout(() => {
        window.seen.interactive = performance.now();
      }),
    );
  });
  watcher.observe(document, { childList: true, subtree: true });
}
