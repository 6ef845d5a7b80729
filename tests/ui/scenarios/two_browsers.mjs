// What one browser does, the other sees without being loaded anew: in the list, and on the page of the task.
export default async ({ visitor, page, signIn, path, name }) => {
  const list = await visitor();
  const other = await visitor();
  for (const one of [page, list, other]) await signIn(one);
  await page.goto(path);
  await other.goto(path);
  await list.goto("/tasks");
  const row = (title) => list.getByRole("row").filter({ hasText: title });
  await row(name).getByText("Idle").waitFor();
  await other.getByText("the answer is 42").first().waitFor();

  const message = page.getByRole("textbox", { name: "Message" });
  await message.fill('echo "seen by $((1 + 1))"');
  await message.press("Control+Enter");
  await other.getByText("seen by 2").first().waitFor();

  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Rename…" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("textbox").fill("Called otherwise");
  await dialog.getByRole("textbox").press("Enter");
  await other.getByRole("heading", { name: "Called otherwise" }).waitFor();
  await row("Called otherwise").waitFor();

  await other.getByRole("button", { name: "Pause", exact: true }).click();
  await page.getByRole("button", { name: "Resume", exact: true }).waitFor();
  await row("Called otherwise").getByText("Paused").waitFor();
  await page.getByRole("button", { name: "Resume", exact: true }).click();
  await row("Called otherwise").getByText("Idle").waitFor();

  // Those that are chosen in the list are paused together.
  await row("Called otherwise").getByRole("checkbox").check();
  const chosen = list.getByRole("region", { name: "Selected tasks" });
  await chosen.getByRole("button", { name: "Pause", exact: true }).click();
  await list.getByText("1 task told to pause.").waitFor();
  await other.getByRole("button", { name: "Resume", exact: true }).waitFor();
  await row("Called otherwise").getByText("Paused").waitFor();

  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Delete…" }).click();
  await page.getByRole("button", { name: "Delete task" }).click();
  await row("Called otherwise").waitFor({ state: "detached" });
  await other
    .getByText(/was deleted/)
    .first()
    .waitFor();
};
