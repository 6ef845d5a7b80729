// Archives of templates, made and read in the browser: tar with names by pax where a plain header has no room.

export interface TarFile {
  /** Path below the top, with / between its parts. */
  name: string;
  content: Uint8Array<ArrayBuffer>;
}

const BLOCK = 512;

/** Bytes of a name that the plain header holds. */
const MOST_NAME = 100;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The bytes of a tar; the same files give the same bytes. Programs, by their first two signs, are executable. */
export function writeTar(files: readonly TarFile[]): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  for (const { name, content } of files) {
    if (!isPlain(name)) parts.push(header("pax", record(name), 0o644, "x"), padded(record(name)));
    const short = isPlain(name) ? name : "pax-file";
    parts.push(header(short, content, isProgram(content) ? 0o755 : 0o644, "0"), padded(content));
  }
  parts.push(new Uint8Array(2 * BLOCK));
  return joined(parts);
}

/** The plain files in a tar. Throws an Error for bytes that are none. */
export function readTar(bytes: Uint8Array<ArrayBuffer>): TarFile[] {
  const files: TarFile[] = [];
  let given = "";
  let at = 0;
  while (at + BLOCK <= bytes.length && bytes[at] !== 0) {
    const head = bytes.subarray(at, at + BLOCK);
    const size = parseInt(text(head, 124, 12), 8);
    if (text(head, 257, 5) !== "ustar" || Number.isNaN(size)) throw new Error("This is no tar.");
    const content = bytes.subarray(at + BLOCK, at + BLOCK + size);
    if (content.length < size) throw new Error("The end of this tar is missing.");
    const kind = String.fromCharCode(head[156]!);
    if (kind === "x") given = paxPath(content);
    else if (kind === "L") given = text(content, 0, size);
    else {
      const name = given || [text(head, 345, 155), text(head, 0, 100)].filter(Boolean).join("/");
      if (kind === "0" || kind === "\0") files.push({ name: name.replace(/^\.\//, ""), content });
      given = "";
    }
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}

function isPlain(name: string): boolean {
  return name.length <= MOST_NAME && /^[\x20-\x7e]*$/.test(name);
}

function isProgram(content: Uint8Array): boolean {
  return content[0] === 0x23 && content[1] === 0x21;
}

/** A record says its own length first, the digits of the length included. */
function record(name: string): Uint8Array<ArrayBuffer> {
  const rest = encoder.encode(` path=${name}\n`);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length++;
  return joined([encoder.encode(String(length)), rest]);
}

function paxPath(content: Uint8Array): string {
  let at = 0;
  while (at < content.length) {
    const length = parseInt(decoder.decode(content.subarray(at, at + 12)), 10);
    if (!(length > 0)) break;
    const line = decoder.decode(content.subarray(at, at + length - 1));
    const word = line.slice(line.indexOf(" ") + 1);
    if (word.startsWith("path=")) return word.slice("path=".length);
    at += length;
  }
  return "";
}

function header(name: string, content: Uint8Array, mode: number, kind: string): Uint8Array {
  const head = new Uint8Array(BLOCK);
  const put = (at: number, word: string) => head.set(encoder.encode(word), at);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, "0");
  put(0, name);
  put(100, octal(mode, 7));
  put(108, octal(0, 7));
  put(116, octal(0, 7));
  put(124, octal(content.length, 11));
  put(136, octal(0, 11));
  put(148, " ".repeat(8));
  put(156, kind);
  put(257, "ustar\u000000");
  const sum = head.reduce((all, byte) => all + byte, 0);
  put(148, `${octal(sum, 6)}\0 `);
  return head;
}

function padded(content: Uint8Array): Uint8Array {
  const block = new Uint8Array(Math.ceil(content.length / BLOCK) * BLOCK);
  block.set(content);
  return block;
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Text of a field, up to its first zero. */
function text(bytes: Uint8Array, at: number, length: number): string {
  const field = bytes.subarray(at, at + length);
  const end = field.indexOf(0);
  return decoder.decode(end < 0 ? field : field.subarray(0, end));
}
