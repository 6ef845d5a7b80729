// A template from its first mistake to its end: uploaded, mended, moved between versions, changed, deleted.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

const MANIFEST = `[template]
display_name = "Greeter"
description = "Says hello."

[task]
app = "agent"

[agent]
type = "shell"

[[parameter]]
name = "language"
default = "en"
`;

export default async ({
  page,
  visitor,
  signIn,
  axe,
  fits,
  downloaded,
  template,
  archives,
  member,
}) => {
  const both = async () => {
    await axe(page);
    await page.setViewportSize({ width: 390, height: 844 });
    await fits(page);
    await page.setViewportSize({ width: 1280, height: 800 });
  };
  const write = (text) => writeFileSync(join(template, "taskyard.toml"), text);
  await signIn();
  await page.goto("/templates");
  await page.getByRole("link", { name: "Shell", exact: true }).waitFor();
  await both();
  await page.getByRole("link", { name: "Upload a template" }).click();
  await page.getByRole("heading", { name: "Upload a template" }).waitFor();
  await choose(page, template);
  await page.getByText("has no taskyard.toml at its top").waitFor();
  await both();

  write(MANIFEST.replace("app =", "ap ="));
  await choose(page, template);
  await page.getByText("Left out: node_modules").waitFor();
  assert.equal(await page.getByLabel("Template", { exact: true }).inputValue(), "greeter");
  await page.getByLabel("What changed").fill("The first");
  await page.getByRole("button", { name: "Upload", exact: true }).click();
  const problems = page.getByRole("alert").filter({ hasText: "The import failed" });
  await problems.getByText("taskyard.toml:6").first().waitFor();
  await problems.locator("[data-wrong]").filter({ hasText: 'ap = "agent"' }).first().waitFor();
  await problems.getByRole("button", { name: "In the log" }).first().click();
  await page.locator("[data-line]:focus").waitFor();
  await both();

  write(MANIFEST);
  await choose(page, template);
  await page.getByText("1 file,").waitFor();
  assert.equal(await page.getByLabel("What changed").inputValue(), "The first");
  await page.getByLabel("Version", { exact: true }).fill("one");
  await page.getByRole("button", { name: "Upload", exact: true }).click();
  await page.getByRole("heading", { name: "one", level: 1 }).waitFor();
  await page.getByRole("log").getByText("The version can be used.").waitFor();
  await page.getByRole("row", { name: /language/ }).waitFor();
  await both();

  await page.getByRole("link", { name: "Greeter" }).click();
  await page.getByRole("link", { name: "New task" }).last().click();
  await page.getByRole("textbox", { name: "Prompt" }).waitFor();
  assert.equal(await page.getByRole("radio", { name: "Greeter" }).isChecked(), true);

  await page.goto("/templates/greeter");
  await page.getByRole("link", { name: "Upload a new version" }).click();
  await choose(page, template);
  await page.getByLabel("Version", { exact: true }).fill("two");
  await page.getByRole("button", { name: "Upload", exact: true }).click();
  await page.getByRole("heading", { name: "two", level: 1 }).waitFor();
  await page.getByRole("link", { name: "Greeter" }).click();
  await page.getByRole("row", { name: /^two active/ }).waitFor();
  await both();
  await page.getByRole("button", { name: "Make active: one" }).click();
  await page.getByRole("dialog").waitFor();
  await axe(page);
  await page.getByRole("button", { name: "Make it active" }).click();
  await page.getByRole("row", { name: /^one active/ }).waitFor();
  await page.getByRole("button", { name: "Archive two" }).click();
  await page.getByRole("button", { name: "Unarchive two" }).click();
  await page.getByRole("button", { name: "Archive two", exact: true }).waitFor();

  // What was imported comes back as it is; archives are taken as well as folders.
  await page.getByRole("link", { name: "two", exact: true }).click();
  await page.getByRole("heading", { name: "two", level: 1 }).waitFor();
  const source = await downloaded(page, () => page.getByText("Download").click());
  assert.ok(source.text.includes('display_name = "Greeter"'), "the source of a version");
  const chosen = Object.entries(archives).map(([name, file]) => [name, file, chooseArchive]);
  chosen.push(["dropped", template, drop], ["dropped-tar", archives.tar, drop]);
  for (const [name, file, put] of chosen) {
    await page.goto("/templates/new?template=greeter");
    await put(page, file);
    await page.getByLabel("Version", { exact: true }).fill(name);
    await page.getByLabel("Make it active when it is imported").uncheck();
    await page.getByRole("button", { name: "Upload", exact: true }).click();
    await page.getByRole("heading", { name, level: 1 }).waitFor();
  }
  await page.goto("/templates/greeter");
  await page.getByRole("row", { name: /^one active/ }).waitFor();

  await menu(page, "Settings");
  await page.getByRole("heading", { name: "Settings", level: 1 }).waitFor();
  await page.getByText("It has no secrets.").waitFor();
  const secret = page.getByRole("region", { name: "New secret" });
  await secret.getByLabel("Name").fill("GREETING_KEY");
  await secret.getByRole("textbox", { name: "Value" }).fill("unseen words");
  await secret.getByRole("button", { name: "Set secret" }).click();
  await page.getByRole("button", { name: "Replace GREETING_KEY" }).waitFor();
  assert.equal((await page.content()).includes("unseen words"), false, "a value only goes in");
  await both();
  await page.getByRole("region", { name: "General" }).getByLabel("Name").fill("welcomer");
  await page.getByRole("button", { name: "Save" }).click();
  await page.waitForURL(/\/templates\/welcomer$/);

  const other = await visitor();
  await signIn(other, member);
  await other.goto("/templates/welcomer");
  await other.getByRole("row", { name: /^one active/ }).waitFor();
  await other.getByRole("link", { name: "New task" }).last().waitFor();
  await axe(other);
  assert.equal(await other.getByRole("button", { name: /active|Archive|More/ }).count(), 0);
  await other.goto("/templates/new");
  await other.getByText("You may not upload templates").waitFor();
  await axe(other);

  await menu(page, "Delete…");
  await page.getByLabel("Write welcomer to confirm").fill("welcome");
  const remove = page.getByRole("button", { name: "Delete template" });
  assert.equal(await remove.isDisabled(), true);
  await page.getByLabel("Write welcomer to confirm").fill("welcomer");
  await axe(page);
  await remove.click();
  await page.getByText("welcomer is deleted.").waitFor();
  await page.getByRole("link", { name: "Greeter", exact: true }).waitFor({ state: "detached" });
};

async function choose(page, folder) {
  await page.getByLabel("Folder").setInputFiles(folder);
}

async function chooseArchive(page, file) {
  await page.getByLabel("Archive").setInputFiles(file);
}

/** Lets a folder or a file of this machine fall where the page says that it may. */
async function drop(page, path) {
  const place = page.getByText("Drop a folder or an archive here");
  await place.waitFor();
  const box = await place.boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  const data = { items: [], files: [path], dragOperationsMask: 1 };
  const cdp = await page.context().newCDPSession(page);
  for (const type of ["dragEnter", "dragOver", "drop"])
    await cdp.send("Input.dispatchDragEvent", { type, x, y, data });
  await cdp.detach();
}

async function menu(page, item) {
  await page.getByRole("button", { name: "More", exact: true }).click();
  await page.getByRole("menuitem", { name: item }).click();
}
