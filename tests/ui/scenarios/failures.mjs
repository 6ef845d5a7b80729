// Somebody looks at tasks whose starts failed, one for each phase, finds out why, and takes the way out that there is.
import assert from "node:assert/strict";

const LABELS = {
  queued: "In the queue",
  preparing: "Template and secrets",
  starting: "Workspace",
  connecting: "Workspace agent",
  scripts: "Repository and start script",
  coding_agent: "Coding agent",
  first_prompt: "First prompt",
  first_answer: "First answer",
};

export default async ({ page, axe, fits, signIn, backstage, cases, waiting }) => {
  await signIn();
  for (const [index, failing] of cases.entries()) {
    await page.goto(failing.path);
    await shows(page, failing);
    if (index === 0) await axe(page);
    if (!failing.again) continue;
    await backstage("mend", { name: failing.name });
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("button", { name: "Try again" }).waitFor({ state: "detached" });
    await page.getByRole("textbox", { name: "Message" }).waitFor();
    await page
      .getByText(/^Started( again)? in /)
      .first()
      .waitFor();
  }

  await page.goto(waiting);
  await page
    .getByText(/Queued/)
    .first()
    .waitFor();
  await backstage("cancel");
  await shows(page, { phase: "queued", reason: "canceled while it waited", advice: "never began" });
  await page.getByRole("button", { name: "Try again" }).click();
  await page
    .getByText(/Queued/)
    .first()
    .waitFor();

  await page.setViewportSize({ width: 390, height: 844 });
  for (const { path } of cases) {
    await page.goto(path);
    await page.getByRole("list").first().waitFor();
    await fits(page);
  }
};

async function shows(page, { phase, reason, advice, line }) {
  const main = page.getByRole("main");
  const steps = main.getByRole("listitem");
  const failed = steps.filter({ hasText: LABELS[phase] }).filter({ hasText: "failed" });
  await failed.first().waitFor();
  assert.equal(await steps.filter({ hasText: /failed/ }).count(), 1, "one phase failed");
  await main.getByText(reason).first().waitFor();
  await main.getByText(advice).first().waitFor();
  if (line) await main.getByText(line).first().waitFor();
  const out = main.getByRole("button", { name: /Try again|Resume|Pause|Send/ });
  assert.ok(await out.first().isEnabled(), "there is a way out");
  // A start that goes on although a phase was given up may still come through.
  if ((await main.getByText(/^Failed at/).count()) === 0) return;
  const anew = await main.getByRole("link", { name: "Start anew" }).getAttribute("href");
  assert.match(anew, /^\/tasks\/new\?template=[^&]+&prompt=./);
}
