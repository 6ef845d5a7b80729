import { expect, test } from "vitest";

import { readTar, writeTar } from "./tar";

const bytes = (text: string) => new TextEncoder().encode(text);
const words = (content: Uint8Array) => new TextDecoder().decode(content);

test("what is written is read again, names of every kind", () => {
  const names = [
    "taskyard.toml",
    `${"folder/".repeat(30)}file.txt`,
    "Übersicht/日本.md",
    "empty",
    "a b.txt",
  ];
  const files = names.map((name, index) => ({ name, content: bytes("x".repeat(index * 300)) }));
  files[3]!.content = bytes("");
  const read = readTar(writeTar(files));
  expect(read.map((file) => file.name)).toEqual(names);
  expect(read.map((file) => words(file.content))).toEqual(files.map((file) => words(file.content)));
});

test("programs are executable, other files are not", () => {
  const mode = (content: string) =>
    words(writeTar([{ name: "start", content: bytes(content) }]).subarray(100, 107));
  expect(mode("#!/bin/sh\n")).toBe("0000755");
  expect(mode("# a comment\n")).toBe("0000644");
});

test("a header's sum is that of its bytes", () => {
  const tar = writeTar([{ name: "a", content: bytes("hello") }]);
  const head = tar.slice(0, 512);
  const said = parseInt(words(head.subarray(148, 154)), 8);
  head.fill(0x20, 148, 156);
  expect(head.reduce((sum, byte) => sum + byte, 0)).toBe(said);
  expect(tar.length % 512).toBe(0);
});

test("other bytes are no tar, and a cut one is not taken for whole", () => {
  expect(() => readTar(bytes("x".repeat(600)))).toThrow("no tar");
  const tar = writeTar([{ name: "a", content: bytes("y".repeat(2000)) }]);
  expect(() => readTar(tar.slice(0, 1024))).toThrow("missing");
  expect(readTar(writeTar([]))).toEqual([]);
});
