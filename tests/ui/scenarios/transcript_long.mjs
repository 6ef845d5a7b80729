// A conversation of 50,000 items: its ends are a key away, and what is read on the way moves nothing that is seen.
import assert from "node:assert/strict";

// More than these are more than thirty rows and the page around them can have.
const MOST_NODES = 3000;
const STEPS = 60;

export default async ({ page, signIn, axe, fits, path, backstage }) => {
  await signIn();
  const asked = [];
  page.on("request", (request) => request.url().includes("/transcript?") && asked.push(request));
  await page.goto(path);
  const talk = page.getByRole("region", { name: "Conversation" });
  const feed = page.getByRole("feed");
  await talk.getByText("item 49997 of 50000").waitFor();
  await settled(page);
  assert.equal(asked.length, 1, "one page is read to begin with");
  assert.ok(await isAtEnd(talk), "it opens at the end");
  assert.ok((await nodes(page)) < MOST_NODES);
  await axe(page);

  // What is read above keeps what is seen where it is.
  for (let pages = 0; pages < 3; pages++) {
    let letGo;
    const gate = new Promise((resolve) => (letGo = resolve));
    await page.route("**/transcript?*before=*", async (route) => {
      await gate;
      await route.continue();
    });
    const older = page.waitForResponse(/transcript\?.*before=/);
    await talk.evaluate((box) => (box.scrollTop = 700));
    await page.getByText("Reading what was before…").waitFor({ state: "attached" });
    await settled(page);
    const before = await topOfARow(talk);
    letGo();
    await older;
    await page.getByText("There is more before this.").waitFor({ state: "attached" });
    await settled(page);
    const after = await topOf(talk, before.text);
    assert.ok(
      Math.abs(after - before.top) < 2,
      `${before.text} was at ${before.top}, is at ${after}`,
    );
    await page.unroute("**/transcript?*before=*");
  }

  // A leap past all that is drawn, as with the scroll bar, ends where it was meant to, and has nothing more read.
  const read = asked.length;
  for (const part of [0.5, 0.9, 0.3]) {
    await talk.evaluate((box, part) => (box.scrollTop = box.scrollHeight * part), part);
    await settled(page);
    const share = await talk.evaluate((box) => box.scrollTop / box.scrollHeight);
    assert.ok(Math.abs(share - part) < 0.05, `it leapt to ${part} and is at ${share}`);
    await topOfARow(talk);
  }
  assert.equal(asked.length, read);

  await talk.focus();
  await page.keyboard.press("Home");
  await talk.getByText("item 2 of 50000").waitFor();
  await talk.getByText("the first words").first().waitFor();
  assert.equal(await talk.evaluate((box) => box.scrollTop), 0);
  assert.ok((await nodes(page)) < MOST_NODES);
  await page.setViewportSize({ width: 390, height: 844 });
  await fits(page);
  await page.setViewportSize({ width: 1280, height: 800 });

  // Down from the start, as somebody reads: pages come by themselves, and the document does not grow.
  await talk.hover();
  const figure = await frames(page, async () => {
    for (let step = 0; step < STEPS; step++) {
      await page.mouse.wheel(0, 1500);
      await settled(page);
    }
  });
  await backstage("told", { words: figure });
  const last = await feed.getByRole("article").last().innerText();
  assert.ok(!last.includes("item 7 of"), "it went on");
  assert.ok((await nodes(page)) < MOST_NODES);

  await talk.focus();
  await page.keyboard.press("End");
  await talk.getByText("item 49997 of 50000").waitFor();
  await settled(page);
  assert.ok(await isAtEnd(talk), "the end is the end");

  // Who is at the end sees what comes; who reads elsewhere is left alone.
  await backstage("say", { words: "echo the newest $((40 + 2)) words" });
  await talk.getByText("the newest 42 words").first().waitFor();
  await settled(page);
  assert.ok(await isAtEnd(talk), "it follows");
  // A browser tells of scrolling a frame later: what is drawn before that does not undo it.
  const untold = await talk.evaluateHandle((box) => {
    const kept = new AbortController();
    const keep = (event) => event.stopImmediatePropagation();
    addEventListener("scroll", keep, { capture: true, signal: kept.signal });
    box.scrollTop -= 3000;
    return kept;
  });
  const tall = await heightOf(talk);
  const top = await talk.evaluate((box) => box.scrollTop);
  await backstage("say", { words: "echo the last $((40 + 1)) words but one" });
  await grown(page, tall);
  assert.equal(await talk.evaluate((box) => box.scrollTop), top, "what was scrolled stays");
  await untold.evaluate((kept) => kept.abort());
  await talk.evaluate((box) => box.dispatchEvent(new Event("scroll")));
  await settled(page);
  const before = await topOfARow(talk);
  const height = await heightOf(talk);
  await backstage("say", { words: "echo the very last $((40 + 3)) words" });
  const end = page.getByRole("button", { name: "To the end" });
  await end.waitFor();
  await grown(page, height);
  await settled(page);
  const after = await topOf(talk, before.text);
  assert.ok(
    Math.abs(after - before.top) < 2,
    `${before.text} was at ${before.top}, is at ${after}`,
  );
  await end.click();
  await talk.getByText("the very last 43 words").first().waitFor();
  assert.ok(await isAtEnd(talk));

  // One answer of 50,000 lines is folded to its end, and whole when it is asked for.
  await backstage("say", { words: "seq --format='line %.0f of it' 50000" });
  await talk.getByText("line 50000 of it").waitFor();
  const whole = talk.getByRole("button", { name: "Show all (50,000 lines)" });
  await whole.waitFor();
  assert.ok((await nodes(page)) < MOST_NODES);
  await whole.click();
  await talk.getByText("line 1 of it").first().waitFor();
  assert.ok((await nodes(page)) < MOST_NODES);
  await axe(page);
};

/** Once what was asked for has been drawn: two frames, as sizes are measured in the first. */
const settled = (page) =>
  page.evaluate(
    () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done()))),
  );

const nodes = (page) => page.evaluate(() => document.querySelectorAll("*").length);

const heightOf = (talk) => talk.evaluate((box) => box.scrollHeight);

const grown = (page, height) =>
  page.waitForFunction(
    (height) => document.querySelector("[data-talk]").scrollHeight > height,
    height,
  );

const isAtEnd = (talk) =>
  talk.evaluate((box) => box.scrollHeight - box.clientHeight - box.scrollTop < 80);

/** A row that is wholly seen and has a number, and where it is. */
const topOfARow = (talk) =>
  talk.evaluate((box) => {
    const { top, bottom } = box.getBoundingClientRect();
    for (const row of box.querySelectorAll('[role="article"]')) {
      const place = row.getBoundingClientRect();
      const text = /(item|question) \d+/.exec(row.innerText)?.[0];
      if (text && place.top > top && place.bottom < bottom) return { text, top: place.top };
    }
    throw new Error("no row is seen");
  });

const topOf = (talk, text) =>
  talk.evaluate((box, wanted) => {
    const rows = [...box.querySelectorAll('[role="article"]')];
    const row = rows.find((one) => one.innerText.match(/(item|question) \d+/)?.[0] === wanted);
    return row ? row.getBoundingClientRect().top : Number.NaN;
  }, text);

/** Milliseconds between frames while something is done. */
async function frames(page, work) {
  await page.evaluate(() => {
    window.gaps = [];
    let before = performance.now();
    const look = (now) => {
      window.gaps.push(now - before);
      before = now;
      if (window.gaps) requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
  await work();
  const gaps = (await page.evaluate(() => window.gaps)).sort((a, b) => a - b);
  const at = (share) => Math.round(gaps[Math.floor(share * (gaps.length - 1))]);
  return `${gaps.length} frames, median ${at(0.5)} ms, 95 % within ${at(0.95)}, longest ${at(1)}`;
}
