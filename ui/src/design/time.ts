const UNITS: readonly (readonly [limitS: number, sizeS: number, letter: string])[] = [
  [60, 1, "s"],
  [3600, 60, "m"],
  [86_400, 3600, "h"],
  [86_400 * 30, 86_400, "d"],
  [86_400 * 365, 86_400 * 30, "mo"],
  [Infinity, 86_400 * 365, "y"],
];

/** How long ago in one short word: "now", "12s", "5m", "3h", "9d". A clock that is ahead says "now". */
export function age(then: number, now: number): string {
  const seconds = Math.max(0, Math.round((now - then) / 1000));
  if (seconds < 5) return "now";
  const unit = UNITS.find(([limit]) => seconds < limit)!;
  return `${Math.floor(seconds / unit[1])}${unit[2]}`;
}

/** A length of time for people: "0.26 s", "4.2 s", "1 min 5 s", "2 h 3 min". */
export function span(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 1) return `${seconds.toFixed(2)} s`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** Date and time to the second, in the reader's own way. */
export function absolute(then: number): string {
  return new Date(then).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}
