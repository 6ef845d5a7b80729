// A task is asked for by the keyboard alone; what was typed is kept, what is wrong is said where it is.
import assert from "node:assert/strict";

export default async ({ page, signIn, axe, fits, folder, allow }) => {
  await signIn();
  await page.goto("/tasks/new?template=claude");
  await page.getByRole("radio", { name: "Claude Code" }).waitFor();
  await page.getByText("ANTHROPIC_API_KEY", { exact: true }).waitFor();
  await axe(page);

  // The arrows move among the cards.
  await page.goto("/tasks/new");
  const prompt = page.getByRole("textbox", { name: "Prompt" });
  await prompt.waitFor();
  const mine = page.getByRole("radio", { name: "With questions" });
  await page.getByRole("radio", { checked: true }).focus();
  const cards = await page.getByRole("radio", { name: /./ }).count();
  for (let press = 0; press < cards && !(await mine.isChecked()); press++) {
    await page.keyboard.press("ArrowDown");
  }
  assert.ok(await mine.isChecked(), "the card is reached by the arrows");

  const preset = page.getByRole("combobox", { name: "Preset" });
  await preset.waitFor();
  await page.getByText("What most take.").waitFor();
  await axe(page);
  await preset.selectOption("Large");
  await page.getByText("4 more questions, all with an answer").press("Enter");
  const count = page.getByRole("textbox", { name: "How many" });
  assert.equal(await count.inputValue(), "4", "the preset answers");
  assert.ok(await page.getByRole("radio", { name: "Large" }).isChecked());

  // Wrong values are told when their field is left, and again by whoever tries to send them.
  await count.fill("40");
  await count.press("Tab");
  await page.getByText("from 1 to 8").waitFor();
  await page.getByText("Changed by hand: count").waitFor();
  await axe(page);
  await prompt.fill("env | grep ^TASKYARD_PARAMETER_ | sort");
  await prompt.press("Control+Enter");
  await page.getByText("A value is needed.").waitFor();
  assert.equal(await focused(page), "parameter:who", "the first wrong one has the focus");
  await page.keyboard.type("Ada 1");
  await page.getByRole("button", { name: "Back to the preset" }).press("Enter");
  assert.equal(await count.inputValue(), "4");
  await page.getByRole("combobox", { name: "Be quick" }).selectOption("Yes");
  await page.getByRole("button", { name: "Add an entry" }).press("Enter");
  await page.getByRole("textbox", { name: "Words, entry 2" }).fill("two");

  // It is all here after a reload.
  await page.reload();
  await page.getByText("What you had begun is here again.").waitFor();
  const who = page.getByRole("textbox", { name: "Who asks" });
  assert.equal(await who.inputValue(), "Ada 1");
  assert.equal(await preset.inputValue(), "Large");
  assert.ok((await prompt.inputValue()).startsWith("env | grep"));
  await page.setViewportSize({ width: 390, height: 844 });
  await fits(page);
  await page.setViewportSize({ width: 1280, height: 800 });

  // What only the server can judge is shown where it is, too.
  allow(/400 \(Bad Request\)/);
  await prompt.press("Control+Enter");
  await page.getByText("letters only").waitFor();
  assert.equal(await focused(page), "parameter:who");
  await axe(page);
  await who.fill("Ada");
  await page.getByText("Title, and for whom").press("Enter");
  await page.getByRole("textbox", { name: "Title" }).fill("Show what was answered");
  await page.getByRole("textbox", { name: "For" }).fill("nobody-at-all");
  allow(/404 \(Not Found\)/);
  await page.keyboard.press("Control+Enter");
  await page.getByRole("alert").waitFor();
  await page.screenshot({ path: `${folder}/wrong.png`, fullPage: true });
  await page.getByRole("textbox", { name: "For" }).fill("");
  await page.keyboard.press("Control+Enter");
  await page.waitForURL(/\/tasks\/ada\/[^/]+$/);
  await page.getByRole("heading", { level: 1, name: "Show what was answered" }).waitFor();
  const talk = page.getByRole("region", { name: "Conversation" });
  for (const line of [
    "TASKYARD_PARAMETER_COUNT=4",
    "TASKYARD_PARAMETER_FAST=true",
    "TASKYARD_PARAMETER_SIZE=l",
    "TASKYARD_PARAMETER_WHO=Ada",
    'TASKYARD_PARAMETER_WORDS=["one","two"]',
  ]) {
    await talk.getByText(line).last().waitFor();
  }

  // Nothing is left of the draft; an address can say what to begin with.
  await page.goto("/tasks/new?template=with-questions&preset=Large&prompt=echo%20hello");
  await prompt.waitFor();
  assert.equal(await prompt.inputValue(), "echo hello");
  assert.equal(await preset.inputValue(), "Large");
  assert.equal(await page.getByText("What you had begun").count(), 0);

  // A link to what is not there says so, and leaves the choice to whoever followed it.
  await page.goto("/tasks/new?template=long-gone");
  await page.getByText("There is no template").getByText("long-gone").waitFor();
  assert.ok(await mine.isChecked(), "the template that was used last");
  await axe(page);
};

const focused = (page) => page.evaluate(() => document.activeElement.getAttribute("name"));
