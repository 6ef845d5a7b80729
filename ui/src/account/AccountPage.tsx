import { Sections } from "./parts";

const PAGES = [
  { to: "/account", title: "Profile" },
  { to: "/account/tokens", title: "Tokens" },
  { to: "/account/secrets", title: "Secrets" },
  { to: "/account/ssh-key", title: "SSH key" },
];

export default function AccountPage() {
  return <Sections label="Account" items={PAGES} />;
}
