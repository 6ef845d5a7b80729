// xterm.js makes style elements while it opens, and gives cells style attributes while it draws. The page's policy forbids
// both, and stays as it is. What it allows does the same: constructed sheets, and properties that are set one by one.
// Both take a script that runs already, so nothing that markup could smuggle in gets through here.

/** Runs what makes style elements; each of them is a template, which browsers do not read, whose text goes into a sheet. Gives back what takes the sheets away. */
export function withSheets(run: () => void): () => void {
  const sheets: CSSStyleSheet[] = [];
  const make = Document.prototype.createElement;
  const createElement = (name: string, options?: ElementCreationOptions): HTMLElement => {
    if (name !== "style") return make.call(document, name, options);
    const sheet = new CSSStyleSheet();
    sheets.push(sheet);
    return styleElement(sheet);
  };
  document.createElement = createElement as Document["createElement"];
  try {
    run();
  } finally {
    // What stood there before is the prototype's, which is seen again.
    delete (document as Partial<Document>).createElement;
  }
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, ...sheets];
  return () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter(
      (sheet) => !sheets.includes(sheet),
    );
  };
}

function styleElement(sheet: CSSStyleSheet): HTMLElement {
  const element = document.createElement("template");
  let text = "";
  Object.defineProperty(element, "textContent", {
    get: () => text,
    set: (given: unknown) => {
      text = String(given ?? "");
      sheet.replaceSync(text);
    },
  });
  return element;
}

/** From now on a style attribute that a script gives to a span is set as properties. Elsewhere the policy would only refuse it. */
export function letSpansHaveStyles(): void {
  const { setAttribute } = Element.prototype;
  HTMLSpanElement.prototype.setAttribute = function (name: string, value: string) {
    if (name === "style") this.style.cssText = value;
    else setAttribute.call(this, name, value);
  };
}
