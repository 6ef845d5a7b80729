// Which pages of the administration somebody may see; docs/reference/roles.md is where it comes from.
import type { User } from "../api/types";

export type Area = "users" | "organizations" | "tokens" | "audit" | "health";

interface AreaFacts {
  area: Area;
  title: string;
  /** Roles that may read it; organization-admin sees what is in their organizations. */
  readers: readonly string[];
}

export const AREAS: readonly AreaFacts[] = [
  {
    area: "users",
    title: "Users",
    readers: ["owner", "user-admin", "auditor", "organization-admin"],
  },
  {
    area: "organizations",
    title: "Organizations",
    readers: ["owner", "template-admin", "user-admin", "auditor", "organization-admin"],
  },
  { area: "tokens", title: "Tokens", readers: ["owner"] },
  { area: "audit", title: "Audit", readers: ["owner", "auditor", "organization-admin"] },
  { area: "health", title: "Health", readers: ["owner", "auditor"] },
];

/** A role as people call it: "organization admin". */
export function roleWords(role: string): string {
  return role.replace("-", " ");
}

export interface Grants {
  roles: readonly string[];
  organization_roles: Readonly<Record<string, readonly string[]>>;
}

/** Every role that somebody has, on the site or in any organization. */
export function rolesOf(user: User, grants?: Grants): ReadonlySet<string> {
  const roles = new Set(user.roles.map((role) => role.name));
  for (const words of Object.values(grants?.organization_roles ?? {}))
    for (const word of words) roles.add(word);
  return roles;
}

/** The pages that these roles may see, in their order. */
export function areasOf(roles: ReadonlySet<string>): Area[] {
  return AREAS.filter(({ readers }) => readers.some((role) => roles.has(role))).map(
    ({ area }) => area,
  );
}

/** Whether somebody may change a user: owners all, user admins those without a role. */
export function mayChangeUser(roles: ReadonlySet<string>, user: User): boolean {
  return roles.has("owner") || (roles.has("user-admin") && user.roles.length === 0);
}

/** Whether somebody may make users. */
export function mayMakeUsers(roles: ReadonlySet<string>): boolean {
  return roles.has("owner") || roles.has("user-admin");
}

/** Whether somebody may change an organization and who is in it. */
export function mayChangeOrganization(grants: Grants | undefined, organization: string): boolean {
  if (!grants) return false;
  const inside = grants.organization_roles[organization] ?? [];
  return grants.roles.includes("owner") || inside.includes("organization-admin");
}

/** Whether somebody may put users into an organization, and take them out. */
export function mayMoveMembers(grants: Grants | undefined, organization: string): boolean {
  return (
    mayChangeOrganization(grants, organization) || Boolean(grants?.roles.includes("user-admin"))
  );
}
