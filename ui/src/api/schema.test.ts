import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, it } from "vitest";

it("schema.ts is what openapi.json says; else run `npm run types`", () => {
  const folder = mkdtempSync(join(tmpdir(), "schema-"));
  try {
    const made = join(folder, "schema.ts");
    const source = "../src/taskyard/server/openapi.json";
    const flags = ["--default-non-nullable=false"];
    execFileSync("node_modules/.bin/openapi-typescript", [source, "-o", made, ...flags]);
    execFileSync("node_modules/.bin/prettier", ["--print-width=100", "--write", made]);
    expect(readFileSync("src/api/schema.ts", "utf8") === readFileSync(made, "utf8")).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 60_000);
