// What the address of the page for new tasks may ask for.
export interface NewTaskSearch {
  /** Name of a template. */
  template?: string;
  /** Name of its organization, where several have a template of that name; else that of the default one. */
  organization?: string;
  /** Name of one of its presets; empty for none. */
  preset?: string;
  /** What the prompt begins as. */
  prompt?: string;
}

export function readNewTaskSearch(given: Record<string, unknown>): NewTaskSearch {
  const search: NewTaskSearch = {};
  for (const name of ["template", "organization", "preset", "prompt"] as const) {
    const word = given[name];
    // The router reads a number or a word such as true as what it looks like.
    if (["string", "number", "boolean"].includes(typeof word)) search[name] = String(word);
  }
  return search;
}
