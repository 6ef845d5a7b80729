// The tabs of one task: each shows what is true of its workspace, and says so when the workspace is paused.
import assert from "node:assert/strict";

export default async ({ page, axe, fits, signIn, allow, task }) => {
  allow(/http:\/\/site--[a-z0-9]+\.localhost:/); // that is where apps are
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await signIn();
  await conversation(page, task);
  await apps(page, axe);
  await files(page, axe);
  await network(page, axe);
  await log(page, axe);
  await phone(page, fits);
  await paused(page, axe);
};

const tab = (page, name) => page.getByRole("tab", { name, exact: true });

// It is found where it was left, and the keyboard leads from tab to tab.
async function conversation(page, task) {
  await page.setViewportSize({ width: 1280, height: 420 });
  await page.goto(`/tasks/ada/${task}`);
  const scroller = page.getByRole("region", { name: "Conversation" });
  await scroller.getByText("work is done").first().waitFor();
  await scroller.evaluate((box) => (box.scrollTop = 0));
  await tab(page, "Conversation").focus();
  await page.keyboard.press("ArrowLeft");
  await tab(page, "Log").and(page.locator(":focus")).waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL(/\?tab=log$/);
  await page.getByRole("log").waitFor();
  assert.equal(await scroller.isVisible(), false);
  await page.goBack();
  await scroller.waitFor();
  assert.equal(await scroller.evaluate((box) => box.scrollTop), 0, "it stayed where it was left");
  await page.setViewportSize({ width: 1280, height: 800 });
}

async function apps(page, axe) {
  await tab(page, "Apps").click();
  const site = page.getByRole("listitem").filter({ hasText: "The site" });
  await site.getByText("Healthy").waitFor();
  await axe(page);
  await site.getByRole("button", { name: "Show here" }).click();
  await page.frameLocator("iframe").getByText("From within").waitFor();
  const coming = page.context().waitForEvent("page");
  await site.getByRole("button", { name: "Open in a new tab" }).click();
  const opened = await coming;
  await opened.getByText("From within").waitFor();
  assert.deepEqual(await opened.evaluate(() => [window.opener, document.referrer]), [null, ""]);
  await opened.close();
  const own = page.getByRole("listitem").filter({ hasText: "For its owner" });
  assert.equal(await own.getByRole("button", { name: "Show here" }).count(), 0);
}

async function files(page, axe) {
  await tab(page, "Files").click();
  await page.getByText("3 files changed").first().waitFor();
  const difference = page.getByRole("region", { name: "Difference" });
  await difference.getByText("one more line").waitFor();
  await difference.getByText(/<b>red<\/b>/).waitFor();
  await difference.getByText("A binary file").waitFor();
  await page
    .getByRole("navigation", { name: "Changed files" })
    .getByText("a <i>file.txt")
    .waitFor();
  await axe(page);
  await difference.getByRole("button", { name: "README" }).click();
  await difference.getByText("one more line").waitFor({ state: "detached" });

  await page.getByRole("button", { name: "Push…" }).click();
  const dialog = page.getByRole("dialog", { name: "Push the work branch" });
  await dialog.getByLabel("Message of a commit").fill("Add a line");
  await dialog.getByRole("button", { name: "Push" }).click();
  await page.getByText(/^Pushed taskyard\//).waitFor();
  await page.getByText("not all of it committed").waitFor({ state: "detached" });
}

async function network(page, axe) {
  await tab(page, "Network").click();
  const refused = page.getByRole("row").filter({ hasText: "refused.example" });
  await refused.getByText("Host not listed").waitFor();
  const allowed = page.getByRole("row").filter({ hasText: "Allowed" });
  await allowed.first().waitFor();
  await axe(page);
  await page.getByLabel("Refused only").check();
  await allowed.first().waitFor({ state: "detached" });
  await refused.waitFor();
}

async function log(page, axe) {
  await tab(page, "Log").click();
  const lines = page.getByRole("log");
  await lines.getByText("the start script ran").waitFor();
  await axe(page);
  await page.getByRole("button", { name: "Copy all" }).click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(copied, /^\d{4}-\S+Z \[error\] start: and complained$/m);
  await page.getByLabel("Warnings and errors only").check();
  await lines.getByText("and complained").waitFor();
  assert.equal(await lines.getByText("the start script ran").count(), 0);
}

async function phone(page, fits) {
  await page.setViewportSize({ width: 390, height: 844 });
  for (const name of ["Terminal", "Apps", "Files", "Network", "Log"]) {
    await tab(page, name).click();
    await page.getByRole("tabpanel", { name }).locator('[aria-busy="true"]').waitFor({
      state: "detached",
    });
    await fits(page);
  }
  await page.setViewportSize({ width: 1280, height: 800 });
}

async function paused(page, axe) {
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: "Resume" }).first().waitFor();
  const panel = page.getByRole("tabpanel");
  for (const name of ["Terminal", "Apps", "Files"]) {
    await tab(page, name).click();
    await panel.getByRole("heading", { name: "The task is paused" }).waitFor();
  }
  await axe(page);
  await tab(page, "Log").click();
  await panel.getByLabel("Build").locator("option").filter({ hasText: "stop" }).waitFor({
    state: "attached",
  });
  await tab(page, "Files").click();
  await panel.getByRole("button", { name: "Resume" }).click();
  await page.getByRole("region", { name: "Difference" }).getByText("one more line").waitFor();
}
