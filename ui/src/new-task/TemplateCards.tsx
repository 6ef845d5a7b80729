// Which template a task is made from: one card each, as the choices of one question.
import { useId, useState } from "react";

import type { Template } from "../api/types";
import { Badge, inputClass } from "../design";
import { TemplateIcon } from "../design/TemplateIcon";
import { oneLine, visible } from "../design/text";
import css from "./new.module.css";

/** Templates that are seen at a glance; with more there is a field to find one by. */
const FEW = 12;

export function TemplateCards({
  templates,
  chosen,
  onChoose,
}: {
  templates: readonly Template[];
  chosen: Template | null;
  onChoose: (template: Template) => void;
}) {
  const [words, setWords] = useState("");
  const shown = templates.filter((one) => one === chosen || isFound(one, words));
  return (
    <fieldset className={css.templates}>
      <legend>Template</legend>
      {templates.length > FEW && (
        <input
          type="search"
          className={inputClass}
          aria-label="Find a template"
          placeholder="Find a template"
          value={words}
          onChange={(event) => setWords(event.target.value)}
        />
      )}
      <div className={css.cards}>
        {shown.map((template) => (
          <TemplateCard
            key={template.id}
            template={template}
            isChosen={template === chosen}
            isTwice={templates.some((one) => one !== template && nameOf(one) === nameOf(template))}
            onChoose={() => onChoose(template)}
          />
        ))}
      </div>
    </fieldset>
  );
}

function TemplateCard({
  template,
  isChosen,
  isTwice,
  onChoose,
}: {
  template: Template;
  isChosen: boolean;
  /** Whether another one is called so, too: then it says of which organization it is. */
  isTwice: boolean;
  onChoose: () => void;
}) {
  const id = useId();
  const name = nameOf(template);
  const says = template.deprecated ? template.deprecation_message : template.description;
  return (
    <label className={css.template}>
      <input
        type="radio"
        name="template"
        className="sr-only"
        aria-labelledby={`${id}-name`}
        aria-describedby={`${id}-says`}
        checked={isChosen}
        disabled={template.deprecated}
        onChange={onChoose}
      />
      <TemplateIcon icon={template.icon} name={name} />
      <span className={css.words}>
        <bdi id={`${id}-name`} className={css.name}>
          {visible(isTwice ? `${name} (${template.organization_name})` : name)}
        </bdi>
        {template.deprecated && <Badge tone="paused">Deprecated</Badge>}
        <bdi id={`${id}-says`} className={css.says}>
          {oneLine(says)}
        </bdi>
      </span>
    </label>
  );
}

const nameOf = ({ display_name, name }: Template) => display_name || name;

function isFound({ name, display_name, description }: Template, words: string): boolean {
  const text = `${name} ${display_name} ${description}`.toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}
