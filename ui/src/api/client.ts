// The one way to the server: typed by path, JSON both ways, each failure an ApiError.
import { ApiError, errorOf, offline } from "./error";
import type { paths } from "./schema";

type Method = "get" | "post" | "put" | "patch" | "delete";

/** Paths that have a method. */
type With<M extends Method> = {
  [P in keyof paths]: paths[P] extends { [K in M]: { responses: unknown } } ? P : never;
}[keyof paths];

type Operation<P extends keyof paths, M extends Method> = M extends keyof paths[P]
  ? paths[P][M]
  : never;

type Json<R> = R extends { content: { "application/json": infer T } } ? T : undefined;

type Answers<O> = O extends { responses: infer R }
  ? { [K in keyof R]: K extends 200 | 201 | 202 | 204 ? Json<R[K]> : never }[keyof R]
  : never;

type PathKeys<O> = O extends { parameters: { path: infer K } } ? { path: K } : { path?: never };

type QueryKeys<O> = O extends { parameters: { query?: infer Q } }
  ? { query?: Exclude<Q, undefined> }
  : { query?: never };

type BodyOf<O> = O extends { requestBody: { content: { "application/json": infer B } } }
  ? { body: B }
  : { body?: never };

export interface CallOptions {
  signal?: AbortSignal;
  /** One key for one intent: a second try with the same key does nothing twice. */
  idempotencyKey?: string;
}

type Options<P extends keyof paths, M extends Method> = PathKeys<Operation<P, M>> &
  QueryKeys<Operation<P, M>> &
  BodyOf<Operation<P, M>> &
  CallOptions;

export interface Answer<T> {
  data: T;
  headers: Headers;
}

interface Request extends CallOptions {
  path?: object;
  query?: object;
  body?: unknown;
}

let onSignedOut: () => void = () => undefined;

/** Who is told when the session is over; the router then leads to the sign-in page. */
export function whenSignedOut(tell: () => void): void {
  onSignedOut = tell;
}

/** A new key for a POST. Not crypto.randomUUID, which plain http beyond loopback does not have. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** An address with its names put in, each encoded, and its query; empty values are left out. */
export function addressOf(template: string, path: object = {}, query: object = {}): string {
  const names = path as Record<string, unknown>;
  const filled = template.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(String(names[name])),
  );
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") search.set(key, String(value));
  }
  return search.size ? `${filled}?${search}` : filled;
}

async function call(method: string, template: string, given: Request): Promise<Answer<unknown>> {
  const headers = new Headers({ Accept: "application/json" });
  if (given.body !== undefined) headers.set("Content-Type", "application/json");
  if (given.idempotencyKey) headers.set("Idempotency-Key", given.idempotencyKey);
  const init: RequestInit = { method, headers, credentials: "same-origin" };
  if (given.body !== undefined) init.body = JSON.stringify(given.body);
  if (given.signal) init.signal = given.signal;
  let response: Response;
  try {
    response = await fetch(addressOf(template, given.path, given.query), init);
  } catch (error) {
    if (given.signal?.aborted) throw error;
    throw offline();
  }
  const text = await response.text();
  if (response.ok) return { data: text ? JSON.parse(text) : undefined, headers: response.headers };
  const error = errorOf(response.status, response.headers.get("X-Taskyard-Reason"), text);
  if (error.status === 401 && !template.startsWith("/api/v2/users/login")) onSignedOut();
  throw error;
}

type Call<M extends Method> = <P extends With<M>>(
  path: P,
  options: Options<P, M>,
) => Promise<Answers<Operation<P, M>>>;

function calling<M extends Method>(method: M): Call<M> {
  const run = async (path: string, options: Request) =>
    (await call(method.toUpperCase(), path, options)).data;
  return run as unknown as Call<M>;
}

type CallWithHeaders = <P extends With<"get">>(
  path: P,
  options: Options<P, "get">,
) => Promise<Answer<Answers<Operation<P, "get">>>>;

const withHeaders = (path: string, options: Request) => call("GET", path, options);

export const api = {
  get: calling("get"),
  post: calling("post"),
  put: calling("put"),
  patch: calling("patch"),
  delete: calling("delete"),
  /** As get, with the headers of the answer. */
  getWithHeaders: withHeaders as unknown as CallWithHeaders,
};

export { ApiError };
