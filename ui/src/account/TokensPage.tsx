import { NewToken } from "./NewToken";
import { SettingsPage } from "./parts";
import { Tokens } from "./Tokens";

export default function TokensPage() {
  return (
    <SettingsPage
      title="Tokens"
      lead="What programs sign in with in your name: the command line, editors, CI."
    >
      <NewToken user="me" />
      <Tokens user="me" label="Your tokens" />
    </SettingsPage>
  );
}
