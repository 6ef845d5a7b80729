import { expect, test } from "vitest";

import { packFolder, takeArchive, Unfit, type Chosen } from "./pick";
import { readTar, writeTar } from "./tar";

const chosen = (path: string, content = "x"): Chosen => ({ path, file: new File([content], path) });

const bytes = async (blob: Blob) => new Uint8Array(await blob.arrayBuffer());

test("a folder becomes a tar without what belongs into no template", async () => {
  const made = await packFolder("agent", [
    chosen("start.sh"),
    chosen("taskyard.toml", "[workspace]"),
    chosen(".git/HEAD"),
    chosen("tool/node_modules/a/b.js"),
    chosen("tool/node_modules/c.js"),
    chosen("tool/main.py"),
  ]);
  expect(readTar(await bytes(made.body)).map(({ name }) => name)).toEqual([
    "start.sh",
    "taskyard.toml",
    "tool/main.py",
  ]);
  expect(made).toMatchObject({ files: 3, bytes: 13, skipped: [".git", "tool/node_modules"] });
});

test("a folder without its manifest, or with too many files, is not sent", async () => {
  await expect(packFolder("a", [chosen("b/taskyard.toml")])).rejects.toThrow(Unfit);
  const many = Array.from({ length: 10_000 }, (_, index) => chosen(String(index)));
  await expect(packFolder("a", [chosen("taskyard.toml"), ...many])).rejects.toThrow(
    "at most 10,000",
  );
});

test("an archive is looked into; a compressed one is unpacked", async () => {
  const tar = writeTar([{ name: "agent/taskyard.toml", content: new TextEncoder().encode("x") }]);
  const packed = new Blob([tar]).stream().pipeThrough(new CompressionStream("gzip"));
  const zipped = await new Response(packed).arrayBuffer();
  const taken = await takeArchive(new File([zipped], "agent.tar.gz"));
  expect(await bytes(taken.body)).toEqual(tar);
  expect(taken.type).toBe("application/x-tar");
  await expect(takeArchive(new File([writeTar([])], "a.tar"))).rejects.toThrow("taskyard.toml");
  await expect(takeArchive(new File(["x".repeat(600)], "a.tar"))).rejects.toThrow("broken");
  await expect(takeArchive(new File(["x"], "a.txt"))).rejects.toThrow("no archive");
});
