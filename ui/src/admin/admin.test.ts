import { describe, expect, it } from "vitest";

import type { AuditLog, User } from "../api/types";
import { areasOf, mayChangeOrganization, mayChangeUser, mayMoveMembers, rolesOf } from "./areas";
import { auditQ, deedWords, readAuditSearch, valueText } from "./audit";
import { githubProblem, readUsersSearch, usersQ } from "./users";

const user = (...roles: string[]) =>
  ({ roles: roles.map((name) => ({ name, display_name: name })) }) as User;

describe("who may see what", () => {
  it("goes by the table of roles", () => {
    const areas = (...roles: string[]) => areasOf(new Set(roles));
    expect(areas("owner")).toEqual(["users", "organizations", "tokens", "audit", "health"]);
    expect(areas("user-admin")).toEqual(["users", "organizations"]);
    expect(areas("auditor")).toEqual(["users", "organizations", "audit", "health"]);
    expect(areas("organization-admin")).toEqual(["users", "organizations", "audit"]);
    expect(areas("template-admin")).toEqual(["organizations"]);
    expect(areas()).toEqual([]);
  });

  it("counts roles in organizations", () => {
    const grants = { roles: [], organization_roles: { a: ["organization-admin"], b: [] } };
    expect([...rolesOf(user("auditor"), grants)]).toEqual(["auditor", "organization-admin"]);
  });

  it("lets an organization's admin change that one, and user admins its members", () => {
    const grants = { roles: [], organization_roles: { a: ["organization-admin"], b: [] } };
    expect(mayChangeOrganization(grants, "a")).toBe(true);
    expect(mayChangeOrganization(grants, "b")).toBe(false);
    expect(mayChangeOrganization(undefined, "a")).toBe(false);
    const admin = { roles: ["user-admin"], organization_roles: {} };
    expect([mayChangeOrganization(admin, "a"), mayMoveMembers(admin, "a")]).toEqual([false, true]);
  });

  it("lets user admins change those without a role only", () => {
    expect(mayChangeUser(new Set(["user-admin"]), user())).toBe(true);
    expect(mayChangeUser(new Set(["user-admin"]), user("auditor"))).toBe(false);
    expect(mayChangeUser(new Set(["owner"]), user("owner"))).toBe(true);
    expect(mayChangeUser(new Set(["auditor"]), user())).toBe(false);
  });
});

describe("users", () => {
  it("reads the address, and drops what makes no sense", () => {
    expect(readUsersSearch({ q: 42, status: "suspended", page: 3 })).toEqual({
      q: "42",
      status: "suspended",
      page: 3,
    });
    expect(readUsersSearch({ q: "", status: "gone", page: -1 })).toEqual({});
  });

  it("puts what is looked for in quotes, so that no key is read out of it", () => {
    expect(usersQ({ q: 'status:"x y', status: "active" })).toBe(
      'search:"status: x y" status:active',
    );
    expect(usersQ({ q: '"' })).toBe("");
  });

  it("takes the number of a GitHub account, not its name", () => {
    expect(["", "583231"].map(githubProblem)).toEqual(["", ""]);
    expect(githubProblem("octocat")).not.toBe("");
  });
});

describe("audit", () => {
  it("asks the server for what the address says", () => {
    const search = readAuditSearch({
      user: "ada",
      action: "delete",
      type: "task",
      name: "my task: x",
      from: "2026-03-01",
      to: "yesterday",
      result: "refused",
      other: 1,
    });
    expect(auditQ(search)).toBe(
      'user:"ada" action:delete resource_type:task resource:"my task: x" from:2026-03-01 succeeded:false',
    );
    expect(readAuditSearch({ action: "toString", type: "constructor" })).toEqual({});
    expect(auditQ({})).toBe("");
  });

  it("says what was done", () => {
    const deed = (action: string, resource_type: string, succeeded = true) =>
      deedWords({ action, resource_type, succeeded } as AuditLog);
    expect(deed("create", "user")).toBe("made the user");
    expect(deed("login", "user")).toBe("signed in");
    expect(deed("login", "user", false)).toBe("was refused: sign-in");
  });

  it("shows values of any kind", () => {
    expect([null, "", "a", 1, ["x", "y"], [], { a: 1 }, false].map(valueText)).toEqual([
      "–",
      "–",
      "a",
      "1",
      "x, y",
      "–",
      '{"a":1}',
      "false",
    ]);
  });
});
