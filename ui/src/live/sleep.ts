/** Whether so much more time has passed than a clock should show that the machine must have slept. */
export function hasSlept(beforeMs: number, nowMs: number, everyMs: number): boolean {
  return nowMs - beforeMs > everyMs + 15_000;
}

/** Calls woke() after a sleep, when the network is back, and when the page is restored; gives what ends that. */
export function watchSleep(woke: () => void, everyMs = 5_000): () => void {
  let before = Date.now();
  const timer = setInterval(() => {
    const now = Date.now();
    // A hidden tab's timers run once a minute at most, which is no sleep.
    if (hasSlept(before, now, document.hidden ? 60_000 : everyMs)) woke();
    before = now;
  }, everyMs);
  const restored = (event: PageTransitionEvent) => event.persisted && woke();
  addEventListener("online", woke);
  addEventListener("pageshow", restored);
  return () => {
    clearInterval(timer);
    removeEventListener("online", woke);
    removeEventListener("pageshow", restored);
  };
}
