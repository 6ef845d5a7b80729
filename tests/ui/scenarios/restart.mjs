// The server goes away under two open pages and comes back: they say so, and catch up with what happened since.
import assert from "node:assert/strict";

export default async ({ visitor, page, signIn, allowAway, backstage, path, name }) => {
  allowAway();
  const list = await visitor();
  for (const one of [page, list]) await signIn(one);
  await page.goto(path);
  await list.goto("/tasks");
  await page.getByText("the answer is 42").first().waitFor();
  await list.getByRole("row").filter({ hasText: name }).waitFor();

  // What would be lost by a reload is a sign that there was none.
  for (const one of [page, list]) await one.evaluate(() => (window.isTheSame = true));
  await backstage("stop");
  for (const one of [page, list]) await one.getByText("No connection to the server").waitFor();
  await backstage("start");
  for (const one of [page, list]) {
    await one.getByText("No connection to the server").waitFor({ state: "detached" });
  }
  await backstage("happen", { text: 'echo "said meanwhile $((6 * 7))"' });
  await page.getByText("said meanwhile 42", { exact: true }).waitFor();
  await backstage("rename", { title: "After the restart" });
  await list.getByRole("row").filter({ hasText: "After the restart" }).waitFor();

  assert.equal(await page.getByText("the answer is 42", { exact: true }).count(), 1, "not doubled");
  assert.equal(
    await page.getByText("said meanwhile 42", { exact: true }).count(),
    1,
    "not doubled",
  );
  for (const one of [page, list]) {
    assert.ok(await one.evaluate(() => window.isTheSame), "the page was loaded anew");
  }
};
