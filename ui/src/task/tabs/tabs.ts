// The parts of a task's page, as they stand in its address.
export const TABS = [
  ["conversation", "Conversation"],
  ["terminal", "Terminal"],
  ["apps", "Apps"],
  ["files", "Files"],
  ["network", "Network"],
  ["log", "Log"],
] as const;

export type TabId = (typeof TABS)[number][0];

/** The tab that an address names; anything else is the conversation. */
export function readTab(given: unknown): TabId {
  return TABS.find(([id]) => id === given)?.[0] ?? "conversation";
}
