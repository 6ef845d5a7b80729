// Somebody looks after their own account: a token that lives and ends, a password, secrets, the SSH key.
import assert from "node:assert/strict";

export default async ({ page, visitor, signIn, axe, fits, address, username, password }) => {
  await signIn();
  const elsewhere = await visitor();
  await signIn(elsewhere);

  await page.goto("/tasks");
  await page.getByRole("button", { name: /account/i }).click();
  await page.getByRole("menuitem", { name: "Tokens" }).click();
  await page.getByRole("heading", { name: "Tokens", level: 1 }).waitFor();
  await axe(page);
  const key = await madeToken(page, "ci");
  await axe(page);
  await page.setViewportSize({ width: 390, height: 844 });
  await fits(page);
  await page.setViewportSize({ width: 1280, height: 800 });
  assert.equal(await whoIs(address, key), username);

  await page.getByRole("button", { name: "I have copied it" }).click();
  assert.equal((await page.content()).includes(key), false, "a token is shown once");
  const expire = page.getByRole("button", { name: "Expire ci" });
  await expire.click();
  await page.getByRole("dialog").waitFor();
  await axe(page);
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.equal(await expire.evaluate((button) => button === document.activeElement), true);
  await expire.click();
  await page.getByRole("button", { name: "Expire token" }).click();
  await expire.waitFor({ state: "detached" });
  assert.equal(await whoIs(address, key), 401);
  await page.getByLabel("Show expired").check();
  await page.getByRole("row", { name: /^ci .*ended/ }).waitFor();

  await page.getByRole("link", { name: "Profile" }).click();
  await page.getByRole("heading", { name: "Profile", level: 1 }).waitFor();
  await axe(page);
  await changePassword(page, `${password}?`, `${password}!`);
  await page.locator('[aria-invalid="true"]').waitFor();
  await changePassword(page, password, `${password}!`);
  await page.getByText("Your password is changed.").waitFor();
  await elsewhere.goto("/account");
  await elsewhere.getByRole("heading", { name: "Sign in" }).waitFor();

  await page.goto("/account/secrets");
  await secrets(page, axe);
  await page.getByRole("link", { name: "SSH key" }).click();
  const line = page.getByRole("group", { name: "Public key" }).locator("pre");
  const before = await line.textContent();
  assert.match(before, /^ssh-ed25519 /);
  await axe(page);
  await page.getByRole("button", { name: "Make a new one…" }).click();
  await page.getByRole("button", { name: "Make a new key" }).click();
  await page.getByText("You have a new SSH key.").waitFor();
  assert.notEqual(await line.textContent(), before);
};

async function madeToken(page, name) {
  await page.getByLabel("Name").fill(name);
  await page.getByRole("button", { name: "Make token" }).click();
  await page.getByRole("heading", { name: `The token ${name} is made` }).waitFor();
  return await page.getByRole("group", { name: "The token" }).locator("pre").textContent();
}

// The name of whose token it is, or the status of the refusal.
async function whoIs(address, key) {
  const answer = await fetch(new URL("/api/v2/users/me", address), {
    headers: { "Coder-Session-Token": key },
  });
  return answer.ok ? (await answer.json()).username : answer.status;
}

async function changePassword(page, old, wanted) {
  await page.getByLabel("Old password").fill(old);
  await page.getByLabel("New password").fill(wanted);
  await page.getByRole("button", { name: "Change password" }).click();
}

async function secrets(page, axe) {
  await page.getByText("You have no secrets yet.").waitFor();
  await page.getByLabel("Name").fill("NPM-TOKEN");
  await page.locator('[aria-invalid="true"]').waitFor();
  await page.getByLabel("Name").fill("NPM_TOKEN");
  await page.getByRole("textbox", { name: "Value" }).fill("first");
  await page.getByRole("button", { name: "Set secret" }).click();
  await page.getByRole("button", { name: "Replace NPM_TOKEN" }).click();
  await axe(page);
  await page.getByRole("dialog").getByRole("textbox", { name: "Value" }).fill("second");
  await page.getByRole("button", { name: "Replace value" }).click();
  await page.getByText("NPM_TOKEN has a new value.").waitFor();
  assert.equal((await page.content()).includes("second"), false, "a value only goes in");
  await page.getByRole("button", { name: "Delete NPM_TOKEN" }).click();
  await page.getByRole("button", { name: "Delete secret" }).click();
  await page.getByText("You have no secrets yet.").waitFor();
}
