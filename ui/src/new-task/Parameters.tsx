// The questions of a template, each as a field of its kind.
import { useId, type ReactNode } from "react";

import { Option } from "../account/parts";
import settings from "../account/settings.module.css";
import type { Parameter } from "../api/types";
import { Button, fieldClass, hintClass, inputClass, labelClass } from "../design";
import { visible } from "../design/text";
import { Details } from "./Details";
import css from "./new.module.css";
import { entriesOf, listOf, type Values } from "./values";

/** Choices that stand side by side; more of them are a list to open. */
const FEW = 5;

/** Questions that stand open; where all have an answer, those beyond are folded away. */
const OPEN = 4;

interface FieldProps {
  parameter: Parameter;
  value: string;
  /** What is wrong with it; empty for nothing. */
  problem: string;
  onChange: (value: string) => void;
  onLeave: () => void;
}

export function Parameters({
  parameters,
  values,
  problems,
  onChange,
  onLeave,
}: {
  parameters: readonly Parameter[];
  values: Values;
  problems: Values;
  onChange: (name: string, value: string) => void;
  onLeave: (name: string) => void;
}) {
  const field = (parameter: Parameter) => (
    <ParameterField
      key={parameter.name}
      parameter={parameter}
      value={values[parameter.name] ?? ""}
      problem={problems[parameter.name] ?? ""}
      onChange={(value) => onChange(parameter.name, value)}
      onLeave={() => onLeave(parameter.name)}
    />
  );
  if (parameters.length <= OPEN) return parameters.map(field);
  const needed = parameters.filter((one) => one.required);
  const others = parameters.filter((one) => !one.required);
  return (
    <>
      {needed.map(field)}
      <Details
        summary={`${others.length} more ${others.length === 1 ? "question" : "questions"}, all with an answer`}
        isNeeded={others.some(({ name }) => problems[name])}
      >
        {others.map(field)}
      </Details>
    </>
  );
}

function ParameterField(props: FieldProps) {
  const { parameter } = props;
  if (parameter.options.length > 0) {
    if (parameter.type === "list(string)") return <Several {...props} />;
    return parameter.options.length <= FEW ? <OneOfFew {...props} /> : <OneOfMany {...props} />;
  }
  if (parameter.type === "bool") return <OneOfMany {...props} />;
  if (parameter.type === "list(string)") return <Entries {...props} />;
  return <Typed {...props} />;
}

function titleOf({ display_name, name, required }: Parameter): ReactNode {
  return (
    <>
      <bdi>{visible(display_name || name)}</bdi>
      {required && <span className={css.needed}> needed</span>}
    </>
  );
}

/** The name in the form; problems are found by it, and the first one gets the focus. */
const fieldName = (parameter: Parameter) => `parameter:${parameter.name}`;

/** A label above, and below what the template says to it, or what is wrong. */
function Framed({
  parameter,
  problem,
  id,
  children,
}: Pick<FieldProps, "parameter" | "problem"> & { id: string; children: ReactNode }) {
  return (
    <div className={fieldClass}>
      <label className={labelClass} htmlFor={id}>
        {titleOf(parameter)}
      </label>
      {children}
      <Note id={`${id}-note`} parameter={parameter} problem={problem} />
    </div>
  );
}

/** Several controls that answer one question. */
function Group({
  parameter,
  problem,
  onLeave,
  children,
}: Pick<FieldProps, "parameter" | "problem" | "onLeave"> & { children: ReactNode }) {
  const id = useId();
  return (
    <fieldset
      className={settings.choices}
      data-wrong={problem ? true : undefined}
      aria-describedby={`${id}-note`}
      onBlur={onLeave}
    >
      <legend>{titleOf(parameter)}</legend>
      <Note id={`${id}-note`} parameter={parameter} problem={problem} />
      {children}
    </fieldset>
  );
}

function Note({
  id,
  parameter,
  problem,
}: Pick<FieldProps, "parameter" | "problem"> & { id: string }) {
  const text = problem || parameter.description_plaintext;
  return (
    <p id={id} className={problem ? css.wrong : hintClass} hidden={!text}>
      <bdi>{visible(text)}</bdi>
    </p>
  );
}

function Typed({ parameter, value, problem, onChange, onLeave }: FieldProps) {
  const id = useId();
  return (
    <Framed parameter={parameter} problem={problem} id={id}>
      <input
        id={id}
        name={fieldName(parameter)}
        className={inputClass}
        inputMode={parameter.type === "number" ? "numeric" : "text"}
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        aria-required={parameter.required}
        aria-invalid={problem !== ""}
        aria-describedby={`${id}-note`}
        value={value}
        onChange={(event) => onChange(event.target.value)}
        onBlur={onLeave}
      />
    </Framed>
  );
}

const YES_OR_NO = [
  { value: "true", name: "Yes" },
  { value: "false", name: "No" },
];

function OneOfMany({ parameter, value, problem, onChange, onLeave }: FieldProps) {
  const id = useId();
  const options = parameter.options.length > 0 ? parameter.options : YES_OR_NO;
  const isKnown = options.some((option) => option.value === value);
  return (
    <Framed parameter={parameter} problem={problem} id={id}>
      <select
        id={id}
        name={fieldName(parameter)}
        className={inputClass}
        aria-required={parameter.required}
        aria-invalid={problem !== ""}
        aria-describedby={`${id}-note`}
        value={isKnown ? value : ""}
        onChange={(event) => onChange(event.target.value)}
        onBlur={onLeave}
      >
        {!isKnown && <option value="">Choose…</option>}
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {visible(option.name)}
          </option>
        ))}
      </select>
    </Framed>
  );
}

function OneOfFew({ parameter, value, problem, onChange, onLeave }: FieldProps) {
  return (
    <Group parameter={parameter} problem={problem} onLeave={onLeave}>
      {parameter.options.map((option) => (
        <Option
          key={option.value}
          type="radio"
          name={fieldName(parameter)}
          label={visible(option.name)}
          hint={visible(option.description)}
          checked={option.value === value}
          onChange={() => onChange(option.value)}
        />
      ))}
    </Group>
  );
}

function Several({ parameter, value, problem, onChange, onLeave }: FieldProps) {
  const chosen = new Set(entriesOf(value));
  const toggle = (entry: string) => {
    if (!chosen.delete(entry)) chosen.add(entry);
    const known = parameter.options.map((option) => option.value);
    onChange(listOf(known.filter((one) => chosen.has(one))));
  };
  return (
    <Group parameter={parameter} problem={problem} onLeave={onLeave}>
      {parameter.options.map((option) => (
        <Option
          key={option.value}
          type="checkbox"
          name={fieldName(parameter)}
          label={visible(option.name)}
          hint={visible(option.description)}
          checked={chosen.has(option.value)}
          onChange={() => toggle(option.value)}
        />
      ))}
    </Group>
  );
}

/** A list whose entries are free: one a field, in their order. */
function Entries({ parameter, value, problem, onChange, onLeave }: FieldProps) {
  const entries = entriesOf(value);
  const name = visible(parameter.display_name || parameter.name);
  const put = (index: number, entry: string) => onChange(listOf(entries.with(index, entry)));
  return (
    <Group parameter={parameter} problem={problem} onLeave={onLeave}>
      {entries.map((entry, index) => (
        <div key={index} className={css.entry}>
          <input
            name={fieldName(parameter)}
            className={inputClass}
            aria-label={`${name}, entry ${index + 1}`}
            autoComplete="off"
            spellCheck={false}
            value={entry}
            onChange={(event) => put(index, event.target.value)}
          />
          <Button
            kind="quiet"
            aria-label={`Remove entry ${index + 1} of ${name}`}
            onClick={() => onChange(listOf(entries.toSpliced(index, 1)))}
          >
            Remove
          </Button>
        </div>
      ))}
      <Button name={fieldName(parameter)} onClick={() => onChange(listOf([...entries, ""]))}>
        Add an entry
      </Button>
    </Group>
  );
}
