// A list of ten thousand tasks: found, filtered and scrolled as one of ten; many are deleted at once.
import assert from "node:assert/strict";

export default async ({ page, axe, fits, address, token, count }) => {
  await page.context().addCookies([{ name: "coder_session_token", value: token, url: address }]);
  await page.goto("/tasks");
  const grid = page.getByRole("grid", { name: "Tasks" });
  await grid.getByRole("row").nth(2).waitFor();
  const all = page.getByRole("navigation", { name: "Filter" }).getByRole("link", { name: /^All/ });
  await all.getByText(String(count)).waitFor();
  const loaded = await page.evaluate(() =>
    performance
      .getEntries()
      .filter(({ name }) => name.startsWith(location.origin) && !name.includes("/api/"))
      .reduce((sum, { transferSize }) => sum + (transferSize ?? 0), 0),
  );
  assert.ok(loaded > 50_000 && loaded <= 200_000, `${loaded} bytes until the list was there`);
  await axe(page);

  const rows = await grid.getByRole("row").count();
  assert.ok(rows < 100, `${rows} rows are in the document`);
  await grid.evaluate((list) => (list.scrollTop = list.scrollHeight));
  await grid.getByRole("row").last().getByText("Failed").waitFor();

  await page.getByRole("searchbox", { name: "Search tasks" }).fill("task 777");
  await grid.getByText("Task 777", { exact: true }).waitFor();
  assert.match(page.url(), /[?&]q=/);
  await all.getByText("20", { exact: true }).waitFor();

  // The address alone shows the same, and the way back is the browser's.
  await page.reload();
  await grid.getByText("Task 7779", { exact: true }).waitFor();
  await page.getByRole("link", { name: /^Paused/ }).click();
  await page.waitForURL(/state=paused/);
  await page.goBack();
  assert.doesNotMatch(page.url(), /state=/);

  // By keys alone: three are chosen and deleted, and the list says what is left.
  await grid.getByText("Task 7779", { exact: true }).waitFor();
  await grid.focus();
  for (const _ of [1, 2, 3]) {
    await page.keyboard.press("x");
    await page.keyboard.press("j");
  }
  const chosen = page.getByRole("region", { name: "Selected tasks" });
  await chosen.getByText("3 tasks selected").waitFor();
  await axe(page);
  await chosen.getByRole("button", { name: "Delete…" }).click();
  await page.getByRole("button", { name: "Delete 3 tasks" }).click();
  await all.getByText("17", { exact: true }).waitFor();

  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keys" }).waitFor();
  await page.keyboard.press("Escape");
  await page.setViewportSize({ width: 390, height: 844 });
  await fits(page);
};
