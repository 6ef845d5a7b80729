// Takes pictures of pages as they are now: light and dark, on a desk and on a phone.
import { join } from "node:path";
import { open, signIn } from "./browser.mjs";

const WINDOWS = {
  desktop: { viewport: { width: 1280, height: 800 } },
  phone: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
};

const given = JSON.parse(process.env.TASKYARD_SCENARIO);
const browser = await open(given);
try {
  for (const colorScheme of ["light", "dark"]) {
    for (const [name, window] of Object.entries(WINDOWS)) {
      const page = await browser.visitor({ ...window, colorScheme });
      if (given.email) await signIn(page, given);
      for (const picture of given.pictures) await take(page, picture, `${colorScheme}-${name}`);
      await page.context().close();
    }
  }
} catch (error) {
  console.log(`${error}\n${browser.watch.lines.join("\n")}`);
  const text = browser.pages.at(-1)?.locator("body").innerText({ timeout: 5000 });
  console.log(await text?.catch(() => "the page has no text"));
  process.exitCode = 1;
} finally {
  await browser.close();
}
if (browser.watch.faults.length) {
  console.log(browser.watch.faults.join("\n"));
  process.exitCode = 1;
}

// Waits for words of the page, and until nothing of it says that it is still coming; answers that grow are whole so far.
async function take(page, { name, path, words }, kind) {
  await page.goto(path);
  await page.getByText(new RegExp(words, "i")).filter({ visible: true }).first().waitFor();
  await page.locator('[aria-busy="true"]:not(article)').first().waitFor({ state: "detached" });
  await page.screenshot({
    path: join(given.folder, `${name}-${kind}.png`),
    animations: "disabled",
  });
}
