// What somebody chose to upload: a folder, which becomes a tar here, or an archive.
import { readTar, writeTar, type TarFile } from "./tar";

/** What lies in folders but belongs into no template; the command line leaves out the same. */
const LEFT_OUT = new Set([
  ".git",
  ".hg",
  ".svn",
  "__pycache__",
  ".venv",
  "node_modules",
  ".DS_Store",
]);

export const MANIFEST = "taskyard.toml";

/** The most that a server takes: bytes of a template's files, and how many. */
export const MOST_BYTES = 64 * 1024 * 1024;
const MOST_FILES = 10_000;

/** A file of a folder; path begins below it. */
export interface Chosen {
  path: string;
  file: File;
}

/** What is going to be sent. */
export interface Package {
  /** The folder or the archive that it was made of. */
  name: string;
  type: "application/x-tar" | "application/zip";
  body: Blob;
  /** Of the files inside; null for a zip, which the server opens. */
  files: number | null;
  bytes: number;
  /** What was left out, each by its first part that is. */
  skipped: string[];
}

/** Why something cannot be sent, and what to do. */
export class Unfit extends Error {}

/** The folder as it would be sent. Throws Unfit. */
export async function packFolder(name: string, chosen: readonly Chosen[]): Promise<Package> {
  const kept = chosen.filter(({ path }) => leftOut(path) === null);
  const skipped = [...new Set(chosen.flatMap(({ path }) => leftOut(path) ?? []))].sort();
  if (!kept.some(({ path }) => path === MANIFEST)) {
    throw new Unfit(
      `${name} has no ${MANIFEST} at its top, so it is no template. Choose the folder that the file lies in.`,
    );
  }
  const bytes = kept.reduce((sum, { file }) => sum + file.size, 0);
  checkRoom(kept.length, bytes);
  kept.sort((one, other) => (one.path < other.path ? -1 : 1));
  const files = await Promise.all(
    kept.map(async ({ path, file }) => ({
      name: path,
      content: new Uint8Array(await file.arrayBuffer()),
    })),
  );
  const type = "application/x-tar";
  return { name, type, body: new Blob([writeTar(files)]), files: files.length, bytes, skipped };
}

/** An archive as it would be sent: a tar, unpacked first where it is compressed, or a zip. Throws Unfit. */
export async function takeArchive(file: File): Promise<Package> {
  if (file.size > MOST_BYTES * 2) checkRoom(1, file.size);
  const { name } = file;
  if (/\.zip$/i.test(name)) {
    const type = "application/zip";
    return { name, type, body: file, files: null, bytes: file.size, skipped: [] };
  }
  if (!/\.(tar|tar\.gz|tgz)$/i.test(name)) {
    throw new Unfit(`${name} is no archive. Choose a folder, a .tar, a .tar.gz or a .zip.`);
  }
  const unpacked = /gz$/i.test(name)
    ? file.stream().pipeThrough(new DecompressionStream("gzip"))
    : file.stream();
  let body: Uint8Array<ArrayBuffer>;
  let files: TarFile[];
  try {
    body = new Uint8Array(await new Response(unpacked).arrayBuffer());
    files = readTar(body);
  } catch {
    throw new Unfit(`${name} cannot be read: it is broken, or no tar. Pack it again.`);
  }
  if (!fileOf(files, MANIFEST)) {
    throw new Unfit(
      `${name} has no ${MANIFEST} at its top. Pack the folder that the file lies in.`,
    );
  }
  const bytes = files.reduce((sum, { content }) => sum + content.length, 0);
  checkRoom(files.length, bytes);
  const type = "application/x-tar";
  return { name, type, body: new Blob([body]), files: files.length, bytes, skipped: [] };
}

/** A file by its path; a single folder around everything does not count, as for the server. */
export function fileOf(files: readonly TarFile[], path: string): TarFile | undefined {
  return files.find(({ name }) => name === path || name.replace(/^[^/]+\//, "") === path);
}

/** The path up to the part that is left out; null when it is kept. */
function leftOut(path: string): string | null {
  const parts = path.split("/");
  const at = parts.findIndex((part) => LEFT_OUT.has(part));
  return at < 0 ? null : parts.slice(0, at + 1).join("/");
}

function checkRoom(files: number, bytes: number): void {
  if (files > MOST_FILES) {
    throw new Unfit(
      `These are ${files.toLocaleString("en")} files; a template has at most ${MOST_FILES.toLocaleString("en")}. Choose the folder of the template alone.`,
    );
  }
  if (bytes > MOST_BYTES) {
    throw new Unfit(
      `These are ${Math.ceil(bytes / 1024 / 1024)} MiB; a template has at most ${MOST_BYTES / 1024 / 1024}. Leave large files out, and fetch them in the start script.`,
    );
  }
}

/** The files of a folder that an input of a form gave: their paths begin with its name. */
export function fromInput(list: FileList): { name: string; chosen: Chosen[] } {
  const files = [...list];
  const name = files[0]?.webkitRelativePath.split("/")[0] ?? "";
  return {
    name,
    chosen: files.map((file) => ({
      path: file.webkitRelativePath.slice(name.length + 1),
      file,
    })),
  };
}

/** All files below a folder that was dropped; what is left out is not gone into. */
export async function fromDrop(folder: FileSystemDirectoryEntry): Promise<Chosen[]> {
  const chosen: Chosen[] = [];
  const walk = async (entry: FileSystemEntry, path: string): Promise<void> => {
    if (entry.isFile) {
      const file = await new Promise<File>((done, failed) =>
        (entry as FileSystemFileEntry).file(done, failed),
      );
      chosen.push({ path, file });
      return;
    }
    if (LEFT_OUT.has(entry.name)) {
      chosen.push({ path, file: new File([], entry.name) });
      return;
    }
    for (const inside of await entriesOf(entry as FileSystemDirectoryEntry))
      await walk(inside, path ? `${path}/${inside.name}` : inside.name);
  };
  for (const inside of await entriesOf(folder)) await walk(inside, inside.name);
  return chosen;
}

/** A reader gives entries in portions, the last of which is empty. */
async function entriesOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((done, failed) =>
      reader.readEntries(done, failed),
    );
    if (some.length === 0) return all;
    all.push(...some);
  }
}
