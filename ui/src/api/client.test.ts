import { describe, expect, it } from "vitest";

import { addressOf, newKey } from "./client";
import { errorOf } from "./error";

describe("addressOf", () => {
  it("encodes each name, so that no name leads to another address", () => {
    expect(addressOf("/api/v2/tasks/{user}/{task}", { user: "me", task: "../a b?" })).toBe(
      "/api/v2/tasks/me/..%2Fa%20b%3F",
    );
  });

  it("leaves empty values out of the query", () => {
    expect(addressOf("/x", {}, { q: "", page_size: 5, token: undefined })).toBe("/x?page_size=5");
  });
});

describe("newKey", () => {
  it("is 32 visible characters, other ones each time", () => {
    expect(newKey()).toMatch(/^[0-9a-f]{32}$/);
    expect(newKey()).not.toBe(newKey());
  });
});

describe("errorOf", () => {
  it("reads the server's sentence, detail and fields", () => {
    const text = JSON.stringify({
      message: "No.",
      detail: "Why.",
      validations: [{ field: "email", detail: "Not one." }],
    });
    const error = errorOf(400, "bad", text);
    expect([error.status, error.reason, error.message, error.detail]).toEqual([
      400,
      "bad",
      "No.",
      "Why.",
    ]);
    expect(error.field("email")).toBe("Not one.");
    expect(error.field("name")).toBe("");
  });

  it("has a sentence even where a proxy answered with its own page", () => {
    expect(errorOf(502, null, "<html>").message).toContain("502");
  });
});
