import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { secretsQuery } from "../account/queries";
import { versionQuery } from "../api/queries";
import { visible } from "../design/text";
import { missingOf } from "./values";
import css from "./new.module.css";

/** Secrets that a start needs and whoever asks has not; nothing where all is there. */
export function Needs({ version }: { version: string }) {
  const { data: asked } = useQuery(versionQuery(version));
  const { data: secrets } = useQuery(secretsQuery);
  const missing = missingOf(asked?.requires_env ?? [], secrets?.map(({ name }) => name) ?? []);
  if (!asked || !secrets || missing.length === 0) return null;
  return (
    <p className={css.needs} role="status">
      It needs{" "}
      {missing.map((names, index) => (
        <span key={names.join()}>
          {index > 0 && ", and "}
          {names.map((name, at) => (
            <span key={name}>
              {at > 0 && " or "}
              <code>{visible(name)}</code>
            </span>
          ))}
        </span>
      ))}
      . You have no such secret: unless the template brings it, the start fails.{" "}
      <Link to="/account/secrets">Set it</Link>
    </p>
  );
}
