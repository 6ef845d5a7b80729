import type { User } from "../api/types";

const ADMINS = new Set(["owner", "user-admin", "auditor", "template-admin"]);

/** Whether somebody has anything to look at in the admin pages. */
export function mayAdmin(user: User): boolean {
  return user.roles.some((role) => ADMINS.has(role.name));
}
