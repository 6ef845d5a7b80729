export type Theme = "system" | "light" | "dark";

const KEY = "taskyard-theme";

export function theme(): Theme {
  try {
    const kept = localStorage.getItem(KEY);
    return kept === "light" || kept === "dark" ? kept : "system";
  } catch {
    return "system";
  }
}

/** Keeps the choice and has it painted by public/theme.js, in the other tabs too. */
export function setTheme(chosen: Theme): void {
  try {
    if (chosen === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, chosen);
  } catch {
    return; // a browser that keeps nothing shows what the system says
  }
  dispatchEvent(new Event("taskyard-theme"));
}
