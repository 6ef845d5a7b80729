// What the addresses of templates say besides names.
import type { Template } from "../api/types";

/** What the address of a template says besides its name: its organization, unless it is the default one. */
export interface TemplateSearch {
  organization?: string;
}

export const DEFAULT = "default";

export function readTemplateSearch(given: Record<string, unknown>): TemplateSearch {
  const { organization } = given;
  return typeof organization === "string" && organization !== DEFAULT ? { organization } : {};
}

export interface UploadSearch extends TemplateSearch {
  /** Name of the template that gets a new version. */
  template?: string;
}

export function readUploadSearch(given: Record<string, unknown>): UploadSearch {
  const { template } = given;
  // The router reads a number or a word such as true as what it looks like.
  const isName = ["string", "number", "boolean"].includes(typeof template);
  return { ...readTemplateSearch(given), ...(isName && { template: String(template) }) };
}

export function searchOf({ organization_name }: Template): TemplateSearch {
  return readTemplateSearch({ organization: organization_name });
}
