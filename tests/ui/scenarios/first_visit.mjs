// Somebody opens a new server and gets from nothing to an answered prompt, reading nothing but the page.
import assert from "node:assert/strict";

export default async ({ page, axe, fits, username, email, password }) => {
  await page.goto("/");
  await page.getByRole("heading", { name: "Create the first user" }).waitFor();
  await axe(page);

  await page.getByLabel("User name").fill(username);
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password").fill("short");
  await page.getByRole("button", { name: "Create user" }).click();
  await page.locator('[aria-invalid="true"]').waitFor();
  assert.equal(await page.getByLabel("Password").getAttribute("aria-invalid"), "true");
  await axe(page);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Create user" }).click();

  const run = page.getByRole("button", { name: /run/i });
  await run.waitFor();
  await axe(page);
  await fits(page);
  await run.click();
  await page.waitForURL(/\/tasks\/[^/]+\/[^/]+$/);

  const conversation = page.getByRole("main");
  const prompt = page.getByRole("textbox", { name: "Message" });
  await prompt.waitFor();
  await axe(page);

  // What grows is seen as it grows: the second line is there while the command still runs.
  await prompt.fill('echo "half $((1 + 1)) done"; sleep 2; echo "whole $((2 + 2)) done"');
  await prompt.press("Control+Enter");
  await conversation.getByText("half 2 done").first().waitFor();
  assert.equal(
    await conversation.getByText("whole 4 done").count(),
    0,
    "it comes as it is written",
  );
  await conversation.getByText("whole 4 done").first().waitFor();
  await axe(page);
  await page.setViewportSize({ width: 390, height: 844 });
  await fits(page);

  await page.reload();
  await conversation.getByText("whole 4 done").first().waitFor();
};
