// A shell in a task's workspace, from the page: what is typed runs there, and what it writes reaches nothing but its screen.
import assert from "node:assert/strict";

export default async ({ page, axe, signIn, task }) => {
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await signIn();
  await page.goto(`/tasks/ada/${task}`);
  await tab(page, "Terminal").click();
  await page.getByText("A new shell in the workspace").waitFor();
  const screen = page.getByTestId("terminal");
  const says = (words) => screen.getByText(words).first().waitFor();
  const type = (line) => page.keyboard.type(`${line}\n`);
  const title = await page.title();
  await type("echo $((40+2)); stty size | sed s/^/size:/");
  await says(/^42\s*$/);
  await says(/^size:\d+ 1\d\d\s*$/);
  await page.setViewportSize({ width: 700, height: 700 });
  await type("stty size | sed s/^/now:/");
  await says(/^now:\d+ \d\d\s*$/);
  await axe(page);
  await page.setViewportSize({ width: 1280, height: 800 });

  // What a program writes reaches neither clipboard nor title, and a link asks first.
  await page.evaluate(() => navigator.clipboard.writeText("mine"));
  await screen.getByRole("textbox").focus();
  await type(String.raw`printf '\e]52;c;b3RoZXI=\a\e]0;other\a\e[38;2;9;99;9mgre\e[0men\n'`);
  await says(/^green\s*$/);
  await type(String.raw`printf '\e]8;;https://elsewhere.example/\ahere\e]8;;\a\n'`);
  await says(/^here\s*$/);
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "mine");
  assert.equal(await page.title(), title);
  const link = screen.locator(".xterm-rows span").getByText("here", { exact: true }).last();
  const box = await link.boundingBox();
  await page.mouse.move(box.x + 40, box.y + 60);
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2, { steps: 4 });
  await screen.locator(".xterm-cursor-pointer").waitFor();
  await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
  const asked = page.getByRole("dialog", { name: "Open this address?" });
  await asked.getByText("https://elsewhere.example/").waitFor();
  await asked.getByRole("button", { name: "Stay" }).click();

  // The way out, and back to the same shell.
  await screen.getByRole("textbox").focus();
  await page.keyboard.press("Control+Shift+E");
  await tab(page, "Terminal").and(page.locator(":focus")).waitFor();
  await tab(page, "Network").click();
  await tab(page, "Terminal").click();
  await page.getByText("The shell as you left it").waitFor();
  await says(/^42\s*$/);
  await type("exit");
  const over = page.getByRole("alert").filter({ hasText: "ended" });
  await over.getByRole("button", { name: "Open again" }).click();
  await page.getByText("A new shell in the workspace").waitFor();

  await page.getByRole("button", { name: "Coding agent" }).click();
  await page.getByRole("alert").filter({ hasText: "has no screen" }).waitFor();
};

const tab = (page, name) => page.getByRole("tab", { name, exact: true });
