// A tab that is older than an upgrade of the server asks for files that are gone: it loads the page anew, once.

const KEY = "taskyard-reloaded-at";

/** Milliseconds within which a second failure is not that of an old tab. */
const AGAIN_MS = 60_000;

/** Whether to load anew after a file was not there; last is when that was done before, 0 for never. */
export function mayReload(last: number, now: number): boolean {
  return now - last > AGAIN_MS;
}

export function reloadAfterUpgrade(): void {
  addEventListener("vite:preloadError", (event) => {
    const now = Date.now();
    if (!mayReload(Number(sessionStorage.getItem(KEY) ?? 0), now)) return;
    sessionStorage.setItem(KEY, String(now));
    event.preventDefault();
    location.reload();
  });
}
