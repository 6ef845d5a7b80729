// An import that waits for a worker is canceled, sent again as it was, and canceled again.
export default async ({ page, signIn, axe, template }) => {
  const cancel = page.getByRole("button", { name: "Cancel the import" });
  const upload = page.getByRole("button", { name: "Upload", exact: true });
  await signIn();
  await page.goto("/templates/new");
  await page.getByLabel("Folder").setInputFiles(template);
  await page.getByLabel("Version", { exact: true }).fill("one");
  await upload.click();
  await cancel.waitFor();
  await axe(page);
  await cancel.click();
  await page.getByText("The import was canceled").waitFor();
  await axe(page);
  await upload.click();
  await cancel.click();
  await page.getByText("The import was canceled").waitFor();
};
