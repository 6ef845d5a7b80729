// A folder or an archive becomes a template, or a new version of one.
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useRef, useState, type DragEvent, type FormEvent } from "react";

import { Choice, Option, Panel, SettingsPage, unlessFields, wrongWith } from "../account/parts";
import settings from "../account/settings.module.css";
import { organizationsQuery } from "../admin/queries";
import { myRolesQuery, templatesQuery } from "../api/queries";
import type { TemplateVersion } from "../api/types";
import { Bone, Button, Empty, ErrorBox, Field, Notice } from "../design";
import { visible } from "../design/text";
import { tell } from "../design/toast";
import { ImportLog } from "./ImportLog";
import { Crumbs } from "./Page";
import { fromDrop, fromInput, packFolder, takeArchive, Unfit, type Package } from "./pick";
import { isImporting, refreshTemplates } from "./queries";
import { DEFAULT, readTemplateSearch, type UploadSearch } from "./search";
import { mayWriteTemplates } from "./rights";
import { upload } from "./send";
import css from "./templates.module.css";
import { bytesWord, countWord, nameFrom, nameProblem } from "./words";
import { CancelImport } from "./VersionActions";

export default function UploadPage() {
  const grants = useQuery(myRolesQuery);
  const organizations = useQuery(organizationsQuery);
  const templates = useQuery(templatesQuery);
  const error = grants.error ?? organizations.error ?? templates.error;
  const retry = () =>
    void Promise.all([grants.refetch(), organizations.refetch(), templates.refetch()]);
  const places = organizations.data?.filter(({ id }) => mayWriteTemplates(grants.data, id));
  return (
    <div className={css.page}>
      <Crumbs />
      <SettingsPage
        title="Upload a template"
        lead="A folder with a taskyard.toml at its top, or an archive of one."
      >
        {error ? (
          <ErrorBox error={error} onRetry={retry} />
        ) : !grants.data || !places || !templates.data ? (
          <Bone width={70} />
        ) : places.length === 0 ? (
          <Empty title="You may not upload templates">
            <p>It takes the role owner, template admin, or organization admin.</p>
          </Empty>
        ) : (
          <Upload places={places.map(({ name, display_name }) => [name, display_name || name])} />
        )}
      </SettingsPage>
    </div>
  );
}

function Upload({ places }: { places: [name: string, label: string][] }) {
  const search: UploadSearch = useSearch({ strict: false });
  const navigate = useNavigate();
  const templates = useQuery(templatesQuery);
  const names = places.map(([name]) => name);
  const wanted = search.organization ?? DEFAULT;
  const [organization, setOrganization] = useState(
    names.includes(wanted) ? wanted : (names[0] ?? DEFAULT),
  );
  const [made, setMade] = useState<Package | null>(null);
  const [typed, setTyped] = useState<string | null>(search.template ?? null);
  const [version, setVersion] = useState("");
  const [message, setMessage] = useState("");
  const [isActivated, setActivated] = useState(true);
  const [sent, setSent] = useState(0);
  const [begun, setBegun] = useState<TemplateVersion | null>(null);

  const name = typed ?? (made ? nameFrom(made.name) : "");
  const problem = nameProblem(name);
  const template =
    templates.data?.find(
      (one) =>
        one.organization_name === organization && one.name.toLowerCase() === name.toLowerCase(),
    ) ?? null;
  const send = useMutation({
    mutationFn: (picked: Package) =>
      upload(
        { made: picked, organization, name, template, version, message, isActivated },
        { onSent: setSent, onVersion: setBegun },
      ),
    onMutate: () => {
      setSent(0);
      setBegun(null);
    },
    onSuccess: async (done) => {
      await refreshTemplates();
      if (done.job.status !== "succeeded") return;
      tell(`${visible(name)} is imported.`);
      await navigate({
        to: "/templates/$template/versions/$version",
        params: { template: template?.name ?? name, version: done.name },
        search: readTemplateSearch({ organization }),
      });
    },
  });
  const isReady = made !== null && name !== "" && !problem && !send.isPending;
  const refused = unlessFields(send.error);
  const isCanceled = begun?.job.status === "canceled";
  const isFailed = begun !== null && !isImporting(begun) && begun.job.status !== "succeeded";
  return (
    <>
      {begun && <ImportLog key={begun.id} version={begun} />}
      {isFailed && (
        <p className={css.lead} role="status">
          {isCanceled
            ? "The import was canceled. Send it again when you like: the form is as you left it. "
            : "Mend it, choose the folder again, and send it once more: the form is as you left it. "}
          {template && (
            <Link
              to="/templates/$template/versions/$version"
              params={{ template: template.name, version: begun.name }}
              search={readTemplateSearch({ organization })}
            >
              {isCanceled ? "The version that was canceled" : "The version that failed"}
            </Link>
          )}
        </p>
      )}
      <Panel title="Files">
        <Pick made={made} isBusy={send.isPending} onMade={setMade} />
      </Panel>
      <Panel title={template ? "New version" : "New template"}>
        <form
          className={settings.form}
          onSubmit={(event: FormEvent) => {
            event.preventDefault();
            if (isReady) send.mutate(made);
          }}
        >
          {places.length > 1 && (
            <Choice
              label="Organization"
              value={organization}
              options={places}
              onChange={setOrganization}
            />
          )}
          <Field
            label="Template"
            name="template"
            required
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
            hint={
              template
                ? "There is a template of that name: it gets a new version."
                : "A template of that name is made."
            }
            wrong={problem}
            value={name}
            onChange={(event) => setTyped(event.target.value)}
          />
          <Field
            label="Version"
            name="version"
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
            hint="Empty: a name is made up."
            wrong={wrongWith(send.error, "name")}
            value={version}
            onChange={(event) => setVersion(event.target.value)}
          />
          <Field
            label="What changed"
            name="message"
            autoComplete="off"
            wrong={wrongWith(send.error, "message")}
            value={message}
            onChange={(event) => setMessage(event.target.value)}
          />
          {template && (
            <Option
              type="checkbox"
              label="Make it active when it is imported"
              hint="New tasks use it from then on."
              checked={isActivated}
              onChange={(event) => setActivated(event.target.checked)}
            />
          )}
          {refused !== null && <ErrorBox error={refused} />}
          {send.isPending && (
            <div className={css.progress} role="status">
              {begun ? "Importing. Stay here until it is done." : "Sending…"}
              {!begun && <progress aria-label="Sent" value={sent} max={1} />}
            </div>
          )}
          <div className={settings.buttons}>
            <Button kind="primary" type="submit" disabled={!isReady}>
              {send.isPending ? "One moment…" : "Upload"}
            </Button>
            {begun && isImporting(begun) && <CancelImport version={begun} />}
          </div>
        </form>
      </Panel>
    </>
  );
}

/** What is to be sent: chosen, or dropped. */
function Pick({
  made,
  isBusy,
  onMade,
}: {
  made: Package | null;
  isBusy: boolean;
  onMade: (made: Package | null) => void;
}) {
  const folder = useRef<HTMLInputElement>(null);
  const archive = useRef<HTMLInputElement>(null);
  const [isOver, setOver] = useState(false);
  const [wrong, setWrong] = useState("");
  const [isReading, setReading] = useState(false);
  // React knows no such attribute.
  useEffect(() => folder.current?.setAttribute("webkitdirectory", ""), []);
  const take = async (reading: Promise<Package>) => {
    setWrong("");
    setReading(true);
    try {
      onMade(await reading);
    } catch (error) {
      onMade(null);
      setWrong(
        error instanceof Unfit
          ? error.message
          : "It cannot be read: it was changed or moved meanwhile. Choose it again.",
      );
    } finally {
      setReading(false);
    }
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    const entry = event.dataTransfer.items[0]?.webkitGetAsEntry();
    const file = event.dataTransfer.files[0];
    if (isBusy || !entry) return;
    if (entry.isDirectory) {
      const inside = fromDrop(entry as FileSystemDirectoryEntry);
      void take(inside.then((chosen) => packFolder(entry.name, chosen)));
    } else if (file) void take(takeArchive(file));
  };
  return (
    <>
      <div
        className={css.drop}
        data-over={isOver}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
      >
        <span>Drop a folder or an archive here, or</span>
        <div>
          <Button disabled={isBusy} onClick={() => folder.current?.click()}>
            Choose a folder
          </Button>
          <Button disabled={isBusy} onClick={() => archive.current?.click()}>
            Choose an archive
          </Button>
        </div>
        <small>Archives are .tar, .tar.gz or .zip.</small>
      </div>
      <input
        ref={folder}
        type="file"
        hidden
        aria-label="Folder"
        onChange={({ target }) => {
          const { name, chosen } = fromInput(target.files!);
          void take(packFolder(name || "The folder", chosen));
          target.value = "";
        }}
      />
      <input
        ref={archive}
        type="file"
        hidden
        aria-label="Archive"
        accept=".tar,.gz,.tgz,.zip"
        onChange={({ target }) => {
          const [file] = target.files!;
          if (file) void take(takeArchive(file));
          target.value = "";
        }}
      />
      {isReading && <p className={css.lead}>Reading…</p>}
      {wrong && (
        <div role="alert">
          <Notice title="This cannot be sent">
            <p>{visible(wrong)}</p>
          </Notice>
        </div>
      )}
      {made && (
        <div className={css.made} role="status">
          <span>
            <strong>
              <bdi>{visible(made.name)}</bdi>
            </strong>
            <small>
              {made.files !== null && `${countWord(made.files, "file")}, `}
              {bytesWord(made.bytes)}
            </small>
            {made.skipped.length > 0 && (
              <small>
                Left out: <bdi>{visible(made.skipped.slice(0, 20).join(", "))}</bdi>
              </small>
            )}
          </span>
          <Button kind="quiet" disabled={isBusy} onClick={() => onMade(null)}>
            Take it away
          </Button>
        </div>
      )}
    </>
  );
}
