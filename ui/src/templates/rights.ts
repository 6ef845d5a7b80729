import { useQuery } from "@tanstack/react-query";

import { mayChangeOrganization, type Grants } from "../admin/areas";
import { myRolesQuery } from "../api/queries";

/** Whether somebody may make and change templates of an organization, given by its id. */
export function mayWriteTemplates(grants: Grants | undefined, organization: string): boolean {
  return (
    mayChangeOrganization(grants, organization) || Boolean(grants?.roles.includes("template-admin"))
  );
}

/** Whether who is signed in may; false while that is not known. organization: null for any. */
export function useMayWrite(organization: string | null): boolean {
  const { data: grants } = useQuery(myRolesQuery);
  const some =
    organization === null ? Object.keys(grants?.organization_roles ?? {}) : [organization];
  return mayWriteTemplates(grants, "") || some.some((one) => mayWriteTemplates(grants, one));
}
