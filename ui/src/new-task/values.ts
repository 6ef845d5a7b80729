// What a template asks: the values of a form, what is wrong with them, and which of them are sent.
import type { Parameter, Preset } from "../api/types";

/** Values by the name of their parameter, as the wire has them: all are strings. */
export type Values = Readonly<Record<string, string>>;

/** Longest value that a template's pattern is tried on here; the server tries longer ones. */
const MOST_TRIED_CHARS = 256;

/** What the server takes as a whole number. */
const WHOLE = /^-?[0-9]{1,18}$/;

/** What is in force before anybody changes anything: the preset's values, else the defaults. */
export function startingValues(parameters: readonly Parameter[], preset: Preset | null): Values {
  const values: Record<string, string> = {};
  for (const { name, default_value } of parameters) values[name] = default_value;
  for (const { Name, Value } of preset?.Parameters ?? []) if (Name in values) values[Name] = Value;
  return values;
}

/** What is wrong with a value as it stands in its field, as a sentence; empty for nothing. */
export function problemWith(parameter: Parameter, value: string): string {
  const { type, options, required } = parameter;
  const mayBeEmpty = type === "string" && !required && options.length === 0;
  if (value === "" && !mayBeEmpty && !options.some((option) => option.value === "")) {
    return "A value is needed.";
  }
  if (type === "number") return problemWithNumber(parameter, value);
  if (type !== "string" || options.length > 0) return "";
  const pattern = tried(parameter.validation_regex);
  if (!pattern || value.length > MOST_TRIED_CHARS || pattern.test(value)) return "";
  return parameter.validation_error || `It must match ${parameter.validation_regex}.`;
}

/** Problems by the name of their parameter; empty when all is well. */
export function problemsOf(parameters: readonly Parameter[], values: Values): Values {
  const found: Record<string, string> = {};
  for (const parameter of parameters) {
    const problem = problemWith(parameter, values[parameter.name] ?? "");
    if (problem) found[parameter.name] = problem;
  }
  return found;
}

/** What a request gives: values that differ from those that are in force without it. */
export function valuesToSend(
  parameters: readonly Parameter[],
  starting: Values,
  values: Values,
): { name: string; value: string }[] {
  return parameters
    .map(({ name }) => ({ name, value: values[name] ?? "" }))
    .filter(({ name, value }) => value !== starting[name]);
}

/** Alternatives of each entry of requires_env of which none is there; "A|B" is either, "A|" is wanted but not needed. */
export function missingOf(entries: readonly string[], there: readonly string[]): string[][] {
  const known = new Set(there);
  return entries
    .map((entry) => entry.split("|"))
    .filter((names) => !names.includes("") && !names.some((name) => known.has(name)));
}

/** The entries of a list as it is on the wire; what is no list has none. */
export function entriesOf(value: string): string[] {
  try {
    const entries: unknown = JSON.parse(value);
    return Array.isArray(entries) ? entries.filter((entry) => typeof entry === "string") : [];
  } catch {
    return [];
  }
}

export function listOf(entries: readonly string[]): string {
  return JSON.stringify(entries);
}

function problemWithNumber(parameter: Parameter, value: string): string {
  const { validation_min: min, validation_max: max, validation_error: own } = parameter;
  if (!WHOLE.test(value)) return "Give a whole number.";
  const number = BigInt(value);
  if (min !== undefined && number < BigInt(min)) return own || `It must be at least ${min}.`;
  if (max !== undefined && number > BigInt(max)) return own || `It may be at most ${max}.`;
  return "";
}

/** A template's pattern, which is in the server's syntax and may be written to keep a browser busy for ever. null: left to the server. */
function tried(regex: string | undefined): RegExp | null {
  // Time explodes with a group that is repeated, and grows by a power with each part that is.
  if (!regex || /\)[*+{]/.test(regex) || (regex.match(/[*+{]/g) ?? []).length > 3) return null;
  try {
    return new RegExp(regex, "u");
  } catch {
    return null;
  }
}
