// An owner makes a member, keeps them out, and finds all of it in the audit; the member sees no administration.
import assert from "node:assert/strict";

const NEW = "newcomer";
const EMAIL = "newcomer@example.com";

export default async ({ page, visitor, signIn, axe, fits, password }) => {
  await signIn();
  await page.goto("/tasks");
  await page.getByRole("link", { name: "Admin" }).click();
  await page.waitForURL("**/admin/users");
  await page.getByRole("link", { name: "ada", exact: true }).waitFor();
  await axe(page);
  await makeUser(page, axe, password);
  await page.waitForURL(`**/admin/users/${NEW}`);
  await page.getByRole("heading", { name: NEW, level: 1 }).waitFor();
  await axe(page);
  await page.setViewportSize({ width: 390, height: 844 });
  await fits(page);
  await page.setViewportSize({ width: 1280, height: 800 });

  const theirs = await visitor();
  await theirs.goto("/login");
  await theirs.getByLabel("Email").fill(EMAIL);
  await theirs.getByLabel("Password").fill(password);
  await theirs.getByRole("button", { name: "Sign in" }).click();
  await theirs.waitForURL("**/tasks");
  await theirs.getByRole("link", { name: "Templates" }).waitFor();
  await theirs.goto("/admin/users");
  await theirs.getByRole("heading", { name: "You may not see this" }).waitFor();
  assert.equal(await theirs.getByRole("link", { name: "Admin" }).count(), 0);
  await axe(theirs);

  await page.getByRole("button", { name: "Suspend…" }).click();
  await page.getByRole("button", { name: "Suspend", exact: true }).click();
  await page.getByText("Suspended", { exact: true }).first().waitFor();
  await theirs.getByRole("link", { name: "Templates" }).click();
  await theirs.getByRole("heading", { name: "Sign in" }).waitFor();

  await page.getByRole("link", { name: "Audit" }).click();
  await audit(page, axe);
  await page.setViewportSize({ width: 390, height: 844 });
  await fits(page);
  await page.setViewportSize({ width: 1280, height: 800 });

  await health(page, axe, fits);
  await organizations(page, axe);
  await lockedOut(page, axe);
  await deleted(page);
};

async function makeUser(page, axe, password) {
  await page.getByRole("button", { name: "New user" }).click();
  const form = page.getByRole("dialog");
  await form.getByLabel("User name").fill("not a name");
  await form.getByLabel("Email").fill(EMAIL);
  await form.getByLabel("Password").fill(password);
  await form.getByRole("button", { name: "Make user" }).click();
  await form.locator('[aria-invalid="true"]').waitFor();
  await axe(page);
  await form.getByLabel("User name").fill(NEW);
  await form.getByRole("button", { name: "Make user" }).click();
}

async function audit(page, axe) {
  await page.getByRole("heading", { name: "Audit", level: 1 }).waitFor();
  await page.getByLabel("Named").fill(NEW);
  await page.waitForURL(`**/admin/audit?name=${NEW}`);
  const deed = page.getByRole("group").filter({ hasText: `ada changed the user ${NEW}` });
  await deed.locator("summary").click();
  await deed.getByRole("row", { name: "status active suspended" }).waitFor();
  await axe(page);
}

async function health(page, axe, fits) {
  await page.getByRole("link", { name: "Health" }).click();
  await page.getByRole("status", { name: "What is wrong" }).waitFor();
  const servers = page.getByRole("table", { name: "Servers" }).getByRole("row");
  assert.equal(await servers.count(), 2, "one server below the heads of the columns");
  assert.match(await servers.last().innerText(), /Up/);
  await axe(page);
  await page.setViewportSize({ width: 390, height: 844 });
  await fits(page);
  await page.setViewportSize({ width: 1280, height: 800 });
}

// A member becomes an organization's admin, and a member again.
async function organizations(page, axe) {
  await page.getByRole("link", { name: "Organizations" }).click();
  await page.getByRole("link", { name: "default", exact: true }).waitFor();
  await axe(page);
  await page.getByRole("link", { name: "default", exact: true }).click();
  await page.getByRole("button", { name: `Make admin: ${NEW}` }).click();
  await page.getByRole("button", { name: `Make member: ${NEW}` }).click();
  await page.getByRole("button", { name: `Make admin: ${NEW}` }).waitFor();
  await axe(page);
}

// What nobody may do to themself is said, not offered.
async function lockedOut(page, axe) {
  await page.goto("/admin/users/ada");
  await page.getByText("Nobody suspends or deletes themself.").waitFor();
  await page.getByText("Nobody changes their own roles.").waitFor();
  assert.equal(await page.getByRole("checkbox", { name: "Owner" }).isDisabled(), true);
  assert.equal(await page.getByRole("button", { name: "Suspend…" }).count(), 0);
  await axe(page);
}

async function deleted(page) {
  await page.goto(`/admin/users/${NEW}`);
  await page.getByRole("button", { name: "Delete…" }).click();
  const verb = page.getByRole("button", { name: "Delete user" });
  assert.equal(await verb.isDisabled(), true, "the name has to be written first");
  await page.getByLabel(`Write ${NEW} to confirm`).fill(NEW);
  await verb.click();
  await page.waitForURL("**/admin/users");
  await page.getByRole("link", { name: "ada", exact: true }).waitFor();
  assert.equal(await page.getByRole("link", { name: NEW, exact: true }).count(), 0);
}
