// A laptop sleeps: its network is gone, things happen, it wakes, and the pages show all of it.
import assert from "node:assert/strict";

export default async ({ page, signIn, allowAway, backstage, path }) => {
  allowAway();
  await signIn();
  await page.goto(path);
  await page.getByText("the answer is 42").first().waitFor();
  await page.evaluate(() => (window.isTheSame = true));

  await page.context().setOffline(true);
  await page.getByText("No connection to the server").waitFor();
  for (const part of [1, 2, 3])
    await backstage("happen", { text: `echo "dream $((${part} * 11))"` });
  await page.context().setOffline(false);

  for (const said of ["dream 11", "dream 22", "dream 33"]) {
    await page.getByText(said, { exact: true }).waitFor();
    assert.equal(await page.getByText(said, { exact: true }).count(), 1, said);
  }
  await page.getByText("No connection to the server").waitFor({ state: "detached" });
  assert.ok(await page.evaluate(() => window.isTheSame), "the page was loaded anew");
};
