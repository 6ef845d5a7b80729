// Everything that a coding agent wrote is on the page as text; none of it became a part of the page.
import assert from "node:assert/strict";

// What would show that something of it was taken for more than text. No request elsewhere: every scenario sees to that.
const TRACES =
  "main script, main iframe, main style, main svg, main img, main b, main [onerror], main [onload]";

export default async ({ page, signIn, axe, fits, path }) => {
  await signIn();
  await page.goto(path);
  const talk = page.getByRole("region", { name: "Conversation" });
  await talk.getByText("the end of it").first().waitFor();
  await axe(page);
  await fits(page);

  await talk.focus();
  await page.keyboard.press("Home");
  await talk.getByText("prompt <script>window.broken").waitFor();
  const heading = page.getByRole("heading", { level: 1 });
  assert.match(await heading.innerText(), /user⟨U\+202E⟩txt\.exe⟨U\+2066⟩ ⟨U\+200B⟩zero/);

  for (const words of ["title <script>", "Thought: thought <script>"]) {
    await talk.locator("summary").filter({ hasText: words }).first().click();
  }
  for (const words of ["command <script>", "output <script>", "new <script>", "plan <script>"]) {
    await talk.getByText(words).first().waitFor();
  }
  await talk.getByText("text <script>").first().waitFor();
  await talk
    .getByText(/deep list/)
    .first()
    .waitFor();
  await axe(page);
  await fits(page);

  const links = await talk
    .getByRole("link")
    .evaluateAll((found) => found.map((link) => link.getAttribute("href")));
  assert.ok(links.includes("https://fine.example/"));
  assert.deepEqual(
    links.filter((href) => !/^https?:\/\//.test(href)),
    [],
  );
  assert.equal(await page.locator(TRACES).count(), 0, "something of it became a part of the page");
  assert.equal(await page.evaluate(() => window.broken), undefined, "something of it ran");
  const text = await talk.innerText();
  assert.doesNotMatch(text, /[\u202a-\u202e\u2066-\u2069\u200b\ufeff\u001b\u0007]/);

  // A line of a megabyte: cut, and shown whole when somebody wants that.
  await talk.focus();
  await page.keyboard.press("End");
  const all = talk.getByRole("button", { name: /Show all/ }).last();
  await all.click();
  await talk.getByRole("region", { name: "All of it" }).waitFor();
  await fits(page);
  await page.setViewportSize({ width: 390, height: 844 });
  await fits(page);
  await axe(page);
};
