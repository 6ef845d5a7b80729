/** Where to go after signing in: an address of this page, or the list of tasks. Never another host. */
export function safeNext(next: unknown): string {
  if (typeof next !== "string" || !/^\/(?![/\\])/.test(next) || next.startsWith("/login")) {
    return "/tasks";
  }
  return next;
}
