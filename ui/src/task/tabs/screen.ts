// A terminal that draws what a workspace writes. It obeys what draws, and nothing that reaches beyond the screen.
import "@xterm/xterm/css/xterm.css";

import { FitAddon } from "@xterm/addon-fit";
import { Terminal, type ITheme } from "@xterm/xterm";

import { letSpansHaveStyles, withSheets } from "./strictStyles";

letSpansHaveStyles();

export interface ScreenOptions {
  box: HTMLElement;
  /** Id of the words that say how to leave, for whoever cannot see them. */
  hintId: string;
  isReadOnly: boolean;
  onTyped(text: string): void;
  onTypedBytes(bytes: Uint8Array<ArrayBuffer>): void;
  onSize(cols: number, rows: number): void;
  /** Somebody clicked a link; where it leads is still to be shown. */
  onLink(address: string): void;
  onLeave(): void;
}

export interface Screen {
  terminal: Terminal;
  /** The size becomes that of the box. */
  fit(): void;
  dispose(): void;
}

export function openScreen(options: ScreenOptions): Screen {
  const terminal = new Terminal({
    theme: themeOf(document.documentElement),
    fontFamily: variable(document.documentElement, "--mono"),
    fontSize: 13,
    lineHeight: 1.2,
    scrollback: 5000,
    minimumContrastRatio: 4.5,
    screenReaderMode: true,
    disableStdin: options.isReadOnly,
    cursorInactiveStyle: options.isReadOnly ? "none" : "outline",
    linkHandler: {
      allowNonHttpProtocols: false,
      activate: (_event, address) => options.onLink(address),
    },
  });
  const fitting = new FitAddon();
  terminal.loadAddon(fitting);
  answerNothing(terminal);
  const dropSheets = withSheets(() => terminal.open(options.box));
  terminal.textarea?.setAttribute("aria-describedby", options.hintId);
  terminal.attachCustomKeyEventHandler((event) => key(event, terminal, options));
  terminal.onData(options.onTyped);
  terminal.onBinary((text) =>
    options.onTypedBytes(Uint8Array.from(text, (sign) => sign.charCodeAt(0))),
  );
  terminal.onResize(({ cols, rows }) => options.onSize(cols, rows));

  const painting = new MutationObserver(() => {
    terminal.options.theme = themeOf(document.documentElement);
  });
  painting.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  return {
    terminal,
    fit: () => fitting.fit(),
    dispose: () => {
      painting.disconnect();
      terminal.dispose();
      dropSheets();
    },
  };
}

// Keys are the terminal's, also those that the page or the browser has a use for; but one leads out, and copying is
// where other terminals have it. Pasting is the browser's own, so that nothing reads the clipboard by script.
function key(event: KeyboardEvent, terminal: Terminal, options: ScreenOptions): boolean {
  if (!event.ctrlKey || !event.shiftKey || event.altKey || event.metaKey) return true;
  switch (event.code) {
    case "KeyE":
      event.preventDefault();
      if (event.type === "keydown") options.onLeave();
      return false;
    case "KeyC":
      event.preventDefault();
      if (event.type === "keydown" && terminal.hasSelection()) {
        void navigator.clipboard?.writeText(terminal.getSelection());
      }
      return false;
    case "KeyV":
      return false;
    default:
      return true;
  }
}

// Programs ask terminals what they are and what is on them. The answers would be typed: into the shell of whoever
// comes back to one and is shown its last words again, or by what a hostile file holds. So nothing is answered.
function answerNothing(terminal: Terminal): void {
  const silent = () => true;
  const { parser } = terminal;
  for (const id of [
    { final: "c" },
    { prefix: ">", final: "c" },
    { prefix: "=", final: "c" },
    { final: "n" },
    { prefix: "?", final: "n" },
    { intermediates: "$", final: "p" },
    { prefix: "?", intermediates: "$", final: "p" },
    { final: "t" },
    { prefix: ">", final: "q" },
    { prefix: "?", final: "u" },
  ]) {
    parser.registerCsiHandler(id, silent);
  }
  parser.registerDcsHandler({ intermediates: "$", final: "q" }, silent);
  for (const number of [4, 10, 11, 12]) {
    parser.registerOscHandler(number, (text) => text.includes("?"));
  }
  // The clipboard, and the window's title and place, are no business of a workspace.
  for (const number of [0, 1, 2, 52]) parser.registerOscHandler(number, silent);
}

function variable(root: HTMLElement, name: string): string {
  return getComputedStyle(root).getPropertyValue(name).trim();
}

function themeOf(root: HTMLElement): ITheme {
  const of = (name: string) => variable(root, name);
  const [red, green, yellow, blue, magenta, cyan] = [1, 2, 3, 4, 5, 6].map((n) =>
    of(`--ansi-${n}`),
  );
  const [text, dim, background] = [of("--text"), of("--ansi-dim"), of("--bg-sunken")];
  const isDark = root.dataset["theme"] === "dark";
  const [black, white] = isDark ? [of("--line-strong"), text] : [text, of("--line-strong")];
  const theme: ITheme = {
    background,
    foreground: text,
    cursor: of("--accent"),
    cursorAccent: background,
    selectionBackground: `${of("--accent")}47`,
    black,
    white,
    brightBlack: dim,
    brightWhite: text,
  };
  return Object.assign(theme, {
    ...{ red, green, yellow, blue, magenta, cyan },
    ...{ brightRed: red, brightGreen: green, brightYellow: yellow },
    ...{ brightBlue: blue, brightMagenta: magenta, brightCyan: cyan },
  });
}
