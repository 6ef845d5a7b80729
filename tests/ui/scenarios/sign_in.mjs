// Somebody follows a link to a page, signs in on the way, and leaves again.
import assert from "node:assert/strict";

export default async ({ page, visitor, axe, fits, email, password }) => {
  await page.goto("/templates");
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.equal(new URL(page.url()).pathname, "/login");
  await axe(page);

  await signIn(page, email, `${password}?`);
  await page.getByRole("alert").waitFor();
  assert.equal(new URL(page.url()).pathname, "/login", "a wrong password leads nowhere");
  await axe(page);

  await signIn(page, email, password);
  await page.waitForURL("**/templates");
  const [cookie] = await page.context().cookies();
  assert.equal(cookie.httpOnly, true, "no script reads the session");

  await signOut(page);
  assert.deepEqual(await page.context().cookies(), []);
  await page.goto("/tasks");
  await page.waitForURL("**/login**");
  await page.goBack();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();

  await page.goto("/login?next=https%3A%2F%2Fevil.example%2F");
  await signIn(page, email, password);
  await page.waitForURL("**/tasks**");

  const phone = await visitor({
    viewport: { width: 390, height: 844 },
    isMobile: true,
    hasTouch: true,
  });
  await phone.goto("/login");
  await fits(phone);
  await signIn(phone, email, password);
  await phone.waitForURL("**/tasks**");
  await fits(phone);
  await signOut(phone);
};

async function signIn(page, email, password) {
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

async function signOut(page) {
  await page.getByRole("button", { name: /account/i }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
}
