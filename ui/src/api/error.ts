export interface Validation {
  field: string;
  detail: string;
}

/** What a failed request came to. status 0: nobody answered. reason: one word for programs. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly reason: string,
    message: string,
    readonly detail: string = "",
    readonly validations: readonly Validation[] = [],
  ) {
    super(message);
    this.name = "ApiError";
  }

  /** What is wrong with one field of what was sent; empty for nothing. */
  field(name: string): string {
    return this.validations.find((one) => one.field === name)?.detail ?? "";
  }
}

/** The error when nobody answered at all. */
export function offline(): ApiError {
  return new ApiError(
    0,
    "offline",
    "The server does not answer.",
    "Nothing is lost. Check the connection, or try again in a moment.",
  );
}

/** The error in a response; a body that is not the server's own says no more than its status. */
export function errorOf(status: number, reason: string | null, text: string): ApiError {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = null;
  }
  const told = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  const message =
    typeof told["message"] === "string" ? told["message"] : `The answer was ${status}.`;
  const detail = typeof told["detail"] === "string" ? told["detail"] : "";
  const wrong = Array.isArray(told["validations"]) ? (told["validations"] as Validation[]) : [];
  return new ApiError(status, reason ?? "", message, detail, wrong);
}

/** Any thrown thing as an ApiError, so that there is always a sentence to show. */
export function asError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new ApiError(-1, "page", "This page met something unexpected.", message);
}
