// The coding agent asks, and people answer: by keyboard, from above the composer, and on another page at the same time.
import assert from "node:assert/strict";

export default async ({ page, visitor, signIn, axe, fits, path }) => {
  await signIn();
  await page.goto(path);
  const talk = page.getByRole("region", { name: "Conversation" });
  const question = talk.getByRole("region", { name: "Question to you" });
  await question.getByText("Remove the build").waitFor();
  assert.deepEqual(await question.getByRole("button").allInnerTexts(), [
    "Allow",
    "Always allow",
    "Reject",
  ]);
  await axe(page);

  // Who reads what was before is told that something waits, and led to it.
  await talk.focus();
  await page.keyboard.press("Home");
  const waiting = page.getByRole("button", {
    name: "Show the question: Remove the build",
  });
  await waiting.waitFor();
  await axe(page);
  await waiting.press("Enter");
  await waiting.waitFor({ state: "detached" });
  assert.ok(await question.getByRole("button", { name: "Reject" }).isVisible());

  await question.getByRole("button", { name: "Allow", exact: true }).press("Enter");
  await talk.getByText("The build is gone.").waitFor();
  await talk.getByText(/Allow, by \S+: Remove the build/).waitFor();
  await question.getByText("Write the notes").waitFor();

  // Somebody who is faster, on a phone: here the buttons go, and it is told who it was.
  const other = await visitor({
    viewport: { width: 390, height: 844 },
    isMobile: true,
  });
  await signIn(other);
  await other.goto(path);
  const there = other.getByRole("region", { name: "Question to you" });
  await there.getByText("Write the notes").waitFor();
  await fits(other);
  await there.getByRole("button", { name: "Reject" }).click();
  await talk.getByText(/Reject, by \S+: Write the notes/).waitFor();
  await question.waitFor({ state: "detached" });
  await talk.getByText("No notes then.").waitFor();
  await page.getByText("Waiting for you").waitFor({ state: "detached" });
  await axe(page);
};
