// Markdown as React elements: no HTML of the text's own, no images, links to http, https and mailto only.
import MarkdownIt, { type Token } from "markdown-it";
import { createElement, Fragment, useMemo, type ReactNode } from "react";

import { stripAnsi } from "../design/ansi";
import { visible } from "../design/text";
import { Code } from "./Code";
import css from "./markdown.module.css";

const reader = new MarkdownIt({ html: false, linkify: true });
reader.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });

const TAGS = new Set(
  "p h1 h2 h3 h4 h5 h6 ul ol li blockquote em strong s table thead tbody tr th td".split(" "),
);

/** Tags inside a message are below the headings of the page. */
const LOWERED: Record<string, string> = { h1: "h3", h2: "h4", h3: "h5", h4: "h6", h5: "h6" };

export function Markdown({ text }: { text: string }) {
  const content = useMemo(() => render(reader.parse(visible(stripAnsi(text)), {})), [text]);
  return (
    <div className={css.markdown} dir="auto">
      {content}
    </div>
  );
}

export default Markdown;

/** An address that may be followed; null for others. */
export function safeLink(href: string | null): string | null {
  return href !== null && /^(https?:\/\/|mailto:)/i.test(href) ? href : null;
}

function render(tokens: readonly Token[]): ReactNode[] {
  const root: ReactNode[] = [];
  const stack: { token: Token; children: ReactNode[] }[] = [];
  const put = (node: ReactNode) => (stack[stack.length - 1]?.children ?? root).push(node);
  tokens.forEach((token, key) => {
    if (token.nesting === 1) stack.push({ token, children: [] });
    else if (token.nesting === -1) {
      const open = stack.pop();
      if (open) put(element(open.token, open.children, key));
    } else put(leaf(token, key));
  });
  return root;
}

function element(token: Token, children: ReactNode[], key: number): ReactNode {
  if (token.type === "link_open")
    return <Away key={key} href={token.attrGet("href")} children={children} />;
  if (token.hidden) return <Fragment key={key}>{children}</Fragment>;
  const tag = LOWERED[token.tag] ?? token.tag;
  if (!TAGS.has(tag)) return <Fragment key={key}>{children}</Fragment>;
  const start = token.tag === "ol" ? Number(token.attrGet("start") ?? 1) : undefined;
  const made = createElement(tag, { key, ...(start === undefined ? {} : { start }) }, ...children);
  if (tag !== "table") return made;
  return (
    <div key={key} className={css.table} tabIndex={0} role="region" aria-label="Table">
      {made}
    </div>
  );
}

function leaf(token: Token, key: number): ReactNode {
  switch (token.type) {
    case "inline":
      return <Fragment key={key}>{render(token.children ?? [])}</Fragment>;
    case "code_inline":
      return <code key={key}>{token.content}</code>;
    case "fence":
    case "code_block":
      return (
        <Code key={key} text={token.content} language={token.info.trim().split(/\s+/)[0] ?? ""} />
      );
    case "softbreak":
      return "\n";
    case "hardbreak":
      return <br key={key} />;
    case "hr":
      return <hr key={key} />;
    case "image":
      return (
        <Away
          key={key}
          href={token.attrGet("src")}
          children={`${token.content} ${token.attrGet("src")}`}
        />
      );
    default:
      return token.content;
  }
}

function Away({ href, children }: { href: string | number | null; children: ReactNode }) {
  const address = safeLink(href === null ? null : String(href));
  if (address === null) return <>{children}</>;
  return (
    <a href={address} target="_blank" rel="noopener noreferrer nofollow" title={address}>
      <bdi>{children}</bdi>
    </a>
  );
}
