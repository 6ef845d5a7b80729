import { Empty } from "../design";
import css from "../new-task/new.module.css";

export default function AdminPage() {
  return (
    <Empty title="Administration">
      <p>Users, tokens and the audit log are on the command line:</p>
      <pre className={css.pre}>taskyard users --help</pre>
    </Empty>
  );
}
