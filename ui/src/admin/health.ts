// What the health of the server comes to, in words.

const UNITS = ["B", "KB", "MB", "GB", "TB"] as const;

/** A size of stored data: "812 B", "4.2 MB". */
export function bytes(count: number): string {
  let size = count;
  let unit = 0;
  while (size >= 1000 && unit < UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)}\u00a0${UNITS[unit]}`;
}

/** A wait of the database: "0.4 ms", "12 ms". */
export function milliseconds(ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** Of how many: "3 of 8", or "3" where nothing limits it. */
export function outOf(count: number, most: number | null | undefined): string {
  return most === null || most === undefined ? String(count) : `${count} of ${most}`;
}

/** How full a disk is, in percent; a disk without a size is not said to be anything. */
export function fullness(freeBytes: number, sizeBytes: number): number | null {
  return sizeBytes > 0 ? Math.round(100 * (1 - freeBytes / sizeBytes)) : null;
}

/** How long after an answer the next is asked for, in milliseconds, while somebody looks. */
export const POLL_MS = 5_000;
