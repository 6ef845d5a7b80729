// A paused task gets another name and another input, which the coding agent is given when it goes on.
import assert from "node:assert/strict";

export default async ({ page, signIn, axe, fits, path, downloaded }) => {
  await signIn();
  await page.goto(path);
  const talk = page.getByRole("region", { name: "Conversation" });
  const more = page.getByRole("button", { name: "More" });
  await talk.getByText("the first words").last().waitFor();
  await more.click();
  assert.equal(
    await page.getByRole("menuitem", { name: "Edit the input" }).getAttribute("aria-disabled"),
    "true",
    "while it runs, its input stays",
  );
  await axe(page);
  await page.keyboard.press("Escape");

  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await page.getByRole("button", { name: "Resume" }).waitFor();

  await more.click();
  await page.getByRole("menuitem", { name: "Rename" }).click();
  const rename = page.getByRole("dialog", { name: "Rename this task" });
  await axe(page);
  await page.keyboard.press("Escape");
  await rename.waitFor({ state: "detached" });
  await more.click();
  await page.getByRole("menuitem", { name: "Rename" }).click();
  await rename.getByLabel("Name").fill("Another name");
  await rename.getByLabel("Name").press("Enter");
  await page.getByRole("heading", { level: 1, name: "Another name" }).waitFor();

  await more.click();
  await page.getByRole("menuitem", { name: "Edit the input" }).click();
  const input = page.getByRole("dialog", { name: "Edit the input" });
  assert.ok(await input.getByRole("button", { name: "Save" }).isDisabled());
  await input.getByLabel("Input").fill("echo the second words");
  await axe(page);
  await page.setViewportSize({ width: 390, height: 844 });
  await fits(page);
  await page.setViewportSize({ width: 1280, height: 800 });
  await input.getByRole("button", { name: "Save" }).click();
  await input.waitFor({ state: "detached" });

  // What waits behind it can be moved, taken back, and written anew.
  const message = page.getByRole("textbox", { name: "Message" });
  for (const words of ["echo one", "echo two"]) {
    await message.fill(words);
    await message.press("Control+Enter");
    await page.getByText("it waits until the task is resumed").waitFor();
  }
  const queue = page.getByRole("region", { name: "Queue" });
  await queue.getByText("2 prompts wait until the task is resumed").waitFor();
  await queue.getByRole("button", { name: "Move prompt 2 up" }).click();
  await queue.getByRole("listitem").first().getByText("echo two").waitFor();
  await axe(page);
  await queue.getByRole("button", { name: "Remove prompt 2" }).click();
  await queue.getByText("1 prompt waits").waitFor();
  await queue.getByRole("button", { name: "Edit prompt 1" }).click();
  await queue.waitFor({ state: "detached" });
  assert.equal(await message.inputValue(), "echo two");
  await page.reload();
  assert.equal(await message.inputValue(), "echo two", "a draft is kept");

  await page.getByRole("button", { name: "Resume" }).click();
  await talk.getByText("the second words").last().waitFor();
  await axe(page);

  await more.click();
  const file = await downloaded(page, () =>
    page.getByRole("menuitem", { name: "Save the transcript as Markdown" }).click(),
  );
  assert.match(file.name, /\.md$/);
  assert.match(file.text, /the second words/);
};
