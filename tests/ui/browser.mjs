// A browser of one scenario, that notes what no page of ours may ever do.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const FLAGS = [
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-gpu",
  "--disable-quic",
  "--disable-sync",
  "--no-first-run",
  "--no-proxy-server",
  // Whatever the page or the browser itself wants to reach: no name leads out of this machine.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1",
];

// What a browser says of requests while a server is away, or has just gone.
export const AWAY = /net::ERR_|status of 50[234]/;

// What axe calls findings that shut people out.
const BAD = ["serious", "critical"];

// patienceMs: within it a busy machine shows what a scenario waits for.
export async function open({ address, chromium, modules, patienceMs }) {
  const require = createRequire(`${modules}/node_modules/`);
  const playwright = require("playwright-core");
  const axeSource = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
  const browser = await playwright.chromium.launch({ executablePath: chromium, args: FLAGS });
  const watch = new Watch(new URL(address).origin);
  const pages = [];

  // A browser of somebody else, with its own cookies; options are those of playwright's contexts.
  async function visitor(options = {}) {
    const context = await browser.newContext({
      baseURL: address,
      viewport: { width: 1280, height: 800 },
      reducedMotion: "reduce",
      ...options,
    });
    context.setDefaultTimeout(patienceMs);
    await context.addInitScript(tellViolations);
    context.on("request", (request) => watch.asked(request.url()));
    context.on("page", (page) => {
      watch.follow(page);
      pages.push(page);
    });
    return await context.newPage();
  }

  return {
    close: () => browser.close(),
    pages,
    visitor,
    watch,
    axe: (page) => axe(page, axeSource),
  };
}

// Runs in the page, before its own scripts.
function tellViolations() {
  document.addEventListener("securitypolicyviolation", (event) => {
    const where = `${event.sourceFile || event.documentURI}:${event.lineNumber}`;
    console.error(
      `policy: ${event.effectiveDirective} forbids ${event.blockedURI} ${event.sample} (${where})`,
    );
  });
}

class Watch {
  constructor(origin) {
    this.origin = origin;
    this.lines = [];
    this.found = [];
    this.allowed = [];
  }

  // What matches is expected in this scenario, such as requests that fail while the server is away.
  allow(pattern) {
    this.allowed.push(pattern);
  }

  get faults() {
    return this.found.filter((line) => !this.allowed.some((pattern) => pattern.test(line)));
  }

  follow(page) {
    page.on("console", (message) => this.said(message));
    page.on("pageerror", (error) =>
      this.fault(`error that nobody caught: ${error.stack ?? error}`),
    );
    page.on("crash", () => this.fault("the page crashed"));
    page.on("websocket", (socket) => this.asked(socket.url()));
  }

  asked(url) {
    const { protocol, host } = new URL(url);
    if (!["http:", "https:", "ws:", "wss:"].includes(protocol)) return;
    if (host !== new URL(this.origin).host) this.fault(`request to another origin: ${url}`);
  }

  said(message) {
    const { url } = message.location();
    const line = `${message.type()}: ${message.text()}${url ? ` (${url})` : ""}`;
    this.lines.push(line);
    if (message.type() === "error" && !this.isAnswer(message.text(), url)) this.found.push(line);
  }

  fault(line) {
    this.lines.push(line);
    this.found.push(line);
  }

  // Browsers write each refusal of the API into the console. The page asks, and shows what it was told.
  isAnswer(text, url) {
    return (
      url.startsWith(`${this.origin}/api/`) &&
      /^Failed to load resource: .* status of 4\d\d\b/.test(text)
    );
  }
}

// Fails on findings of axe that shut people out, in light and in dark.
async function axe(page, source) {
  for (const colorScheme of ["dark", "light"]) {
    await page.emulateMedia({ colorScheme });
    // The page hears of it with the next frame; a change halfway through would be a finding.
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done))));
    await page.evaluate(source);
    const { violations } = await page.evaluate(() =>
      window.axe.run(document, { resultTypes: ["violations"] }),
    );
    const bad = violations.filter((finding) => BAD.includes(finding.impact));
    if (bad.length)
      throw new Error(`axe, ${colorScheme}, ${page.url()}:\n${bad.map(finding).join("\n")}`);
  }
}

function finding({ id, help, nodes }) {
  const shown = nodes
    .slice(0, 5)
    .map((node) => `    ${node.target.join(" ")}: ${node.failureSummary}`);
  return `  ${id}: ${help} (${nodes.length})\n${shown.join("\n")}`;
}

// Fails when a page is wider than its window: a phone would have to scroll it sideways.
export async function fits(page) {
  const { wide, window: width } = await page.evaluate(() => ({
    wide: document.documentElement.scrollWidth,
    window: document.documentElement.clientWidth,
  }));
  if (wide > width) throw new Error(`${page.url()} is ${wide} px wide in a window of ${width}`);
}

// What a page offers to be kept as a file, once something was done that makes it do so: its name and its text.
export async function downloaded(page, act) {
  const [file] = await Promise.all([page.waitForEvent("download"), act()]);
  return { name: file.suggestedFilename(), text: readFileSync(await file.path(), "utf8") };
}

// What the page has copied, once there is something. Ask for it before: visitor({ permissions: CLIPBOARD }).
export const CLIPBOARD = ["clipboard-read", "clipboard-write"];
export async function copied(page) {
  await page.waitForFunction(() => navigator.clipboard.readText());
  return await page.evaluate(() => navigator.clipboard.readText());
}

// Signs in without the page, as a scenario does that is about something else.
export async function signIn(page, { email, password }) {
  const answer = await page
    .context()
    .request.post("/api/v2/users/login", { data: { email, password } });
  if (!answer.ok()) throw new Error(`login: ${answer.status()} ${await answer.text()}`);
}
