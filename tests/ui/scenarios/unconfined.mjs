// A server without walls says so on every page, in a way that nobody can put away.
import assert from "node:assert/strict";

export default async ({ page, axe, fits, signIn, path }) => {
  await signIn();
  const warning = page.getByText("Workspaces are not confined on this server.");
  for (const address of ["/tasks", path, "/tasks/new", "/templates", "/account", "/admin/health"]) {
    await page.goto(address);
    await warning.waitFor();
    assert.equal(await page.getByRole("button", { name: /dismiss|hide/i }).count(), 0);
  }
  await axe(page);
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(path);
  await page.getByText("the answer is 42").first().waitFor();
  await warning.waitFor();
  await fits(page);
};
