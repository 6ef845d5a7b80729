// A task from its first words to its end, seen on its own page: answered, paused, resumed, asked again, deleted.
import assert from "node:assert/strict";

export default async ({ page, axe, signIn, path, name }) => {
  await signIn();
  await page.goto("/tasks");
  const row = page.getByRole("row").filter({ hasText: name });
  await row.getByText("the answer is 42").waitFor();
  await row.getByRole("link", { name }).click();
  await page.waitForURL(`**${path}`);
  const conversation = page.getByRole("main");
  const message = page.getByRole("textbox", { name: "Message" });
  const standing = (word) =>
    page.getByRole("banner").or(page.locator("header")).getByText(word, { exact: true });

  await conversation.getByText("the answer is 42").first().waitFor();
  await standing("Idle").waitFor();

  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await standing("Paused").waitFor();
  await conversation.getByText("the answer is 42").first().waitFor();
  await axe(page);

  await page.getByRole("button", { name: "Resume", exact: true }).click();
  await standing("Idle").waitFor();
  await message.fill('echo "and then $((40 + 3))"');
  await message.press("Control+Enter");
  await conversation.getByText("and then 43").first().waitFor();
  await conversation.getByText("the answer is 42").first().waitFor();

  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Delete…" }).click();
  const sure = page.getByRole("dialog", { name: "Delete this task?" });
  await axe(page);
  await page.keyboard.press("Escape");
  await sure.waitFor({ state: "detached" });
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Delete…" }).click();
  await sure.getByRole("button", { name: "Delete task" }).click();
  await page.waitForURL(/\/tasks$/);
  assert.equal(await page.getByRole("link", { name }).count(), 0, "it is not in the list any more");

  // A link that stands in some issue still leads to what was said.
  await page.goto(path);
  await conversation.getByText("the answer is 42").first().waitFor();
  await conversation.getByText(/was deleted/).waitFor();
  await axe(page);
};
