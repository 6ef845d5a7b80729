import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { templatesQuery } from "../api/queries";
import { Bone, Empty, ErrorBox } from "../design";
import { useTitle } from "../notices/title";
import css from "../new-task/new.module.css";

export default function TemplatesPage() {
  const templates = useQuery(templatesQuery);
  useTitle("Templates");
  return (
    <div className={css.page}>
      <header className={css.head}>
        <h1>Templates</h1>
        <p>What tasks are made from: a workspace, a coding agent, and what it may reach.</p>
      </header>
      {templates.isPending && <Bone width={70} />}
      {templates.error && (
        <ErrorBox error={templates.error} onRetry={() => void templates.refetch()} />
      )}
      {templates.data?.length === 0 && (
        <Empty title="No template yet">
          <p>Push a folder with a taskyard.toml:</p>
          <pre className={css.pre}>taskyard templates push FOLDER</pre>
        </Empty>
      )}
      {templates.data && templates.data.length > 0 && (
        <section className={css.others} aria-label="All templates">
          <ul>
            {templates.data.map((template) => (
              <li key={template.id}>
                <Link to="/tasks/new" search={{ template: template.name }}>
                  <strong>{template.display_name || template.name}</strong>
                  <span>{template.description}</span>
                </Link>
              </li>
            ))}
          </ul>
        </section>
      )}
    </div>
  );
}
