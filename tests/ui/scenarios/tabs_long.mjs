// A log of 50,000 lines and a change of 10,000 are read from end to end, while the document stays small.
import assert from "node:assert/strict";

const MOST_NODES = 5000;

export default async ({ page, axe, fits, signIn, task }) => {
  await signIn();
  await page.goto(`/tasks/ada/${task}?tab=log`);
  const log = page.getByRole("log");
  await log.getByText("line 50000 of the start").waitFor();
  assert.ok((await nodes(page)) < MOST_NODES, `${await nodes(page)} nodes`);
  await axe(page);
  await log.evaluate((box) => (box.scrollTop = 0));
  await log.getByText("line 1 of the start", { exact: true }).waitFor();
  assert.ok((await nodes(page)) < MOST_NODES, `${await nodes(page)} nodes`);

  await page.getByRole("tab", { name: "Files", exact: true }).click();
  const difference = page.getByRole("region", { name: "Difference" });
  await difference.getByText("row 1 of the change", { exact: true }).waitFor();
  assert.ok((await nodes(page)) < MOST_NODES, `${await nodes(page)} nodes`);
  await axe(page);
  await difference.evaluate((box) => (box.scrollTop = box.scrollHeight));
  await difference.getByText("row 10000 of the change", { exact: true }).waitFor();
  assert.ok((await nodes(page)) < MOST_NODES, `${await nodes(page)} nodes`);
  await page.setViewportSize({ width: 390, height: 844 });
  await fits(page);
};

const nodes = (page) => page.evaluate(() => document.querySelectorAll("*").length);
