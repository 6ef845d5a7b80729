// Somebody who looks elsewhere is told that a task ended its turn, once, and by a click is at the task.
import assert from "node:assert/strict";

export default async ({ page, visitor, signIn, backstage, address, path, name }) => {
  // A browser without windows shows no notices, so what would be shown is kept instead.
  const elsewhere = await visitor({ permissions: ["notifications"] });
  await elsewhere.addInitScript(() => {
    window.shown = [];
    window.Notification = class {
      static permission = "granted";
      static requestPermission = async () => "granted";
      constructor(title, options) {
        window.shown.push({
          title,
          ...options,
          click: () => this.onclick(),
        });
      }
      close() {}
    };
  });
  await signIn(elsewhere);
  await elsewhere.goto("/templates");
  await elsewhere.getByRole("button", { name: /^Account/ }).click();
  await elsewhere.getByRole("menuitem", { name: /^Notify me/ }).click();
  await elsewhere.getByText("You will be notified").waitFor();

  await backstage("happen", { text: 'echo "told $((2 * 4))"' });
  await elsewhere.waitForFunction(() => window.shown.length > 0);
  const [first] = await elsewhere.evaluate(() =>
    window.shown.map(({ title, tag }) => ({ title, tag })),
  );
  assert.equal(first.title, `${name} has ended its turn`);

  // Who looks at the task needs no notice of it.
  await elsewhere.evaluate(() => window.shown[0].click());
  await elsewhere.waitForURL(`${address}/tasks/**`);
  await elsewhere.getByText("told 8", { exact: true }).waitFor();
  await backstage("happen", { text: 'echo "told $((3 * 4))"' });
  await elsewhere.getByText("told 12", { exact: true }).waitFor();
  await backstage("wait_for_permission");
  await elsewhere.waitForFunction(() => document.title.startsWith("(1) "));
  await elsewhere.waitForFunction(() => window.shown.length === 2);
  const titles = await elsewhere.evaluate(() => window.shown.map(({ title }) => title));
  assert.match(titles[1], /waits for you$/);
  await signIn(page);
  await page.goto(path);
  await page.waitForFunction(() => document.title.startsWith("(1) "));
};
