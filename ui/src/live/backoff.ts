/** Milliseconds before try number `attempt` (from 0): half a second doubled up to 15 s, a quarter of it by chance.
 *
 * Chance keeps the tabs of a team from calling a server that has just come back all at once. */
export function backoff(attempt: number, random: () => number = Math.random): number {
  const whole = Math.min(500 * 2 ** Math.min(attempt, 10), 15_000);
  return Math.round(whole * (0.75 + 0.25 * random()));
}
