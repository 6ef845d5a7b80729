"""What a coding agent may write to break, fool or burden a page that shows it."""

import json

MEGABYTE = 700_000
"""Characters of one line: about what a message over the link takes."""

DEEP = 10_000
"""Levels of nesting."""

SCRIPT = "<script>window.broken = 1</script><img src=x onerror='window.broken = 2'><svg onload=window.broken=3>"
BIDI = "user\u202etxt.exe\u2066 \u200bzero\u200bwidth\ufeff"
ANSI = "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J\x1b[1;1H \x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\ \x07"
LINKS = """
![a picture](http://evil.example/huge.png) ![other](data:image/svg+xml,<svg>) ![none](//evil.example/x.png)

[run](javascript:window.broken=4) [data](data:text/html,<script>window.broken=5</script>) [vb](vbscript:x) [fine](https://fine.example/)

<javascript:window.broken=6> <iframe src="http://evil.example"></iframe> <style>* { display: none }</style>

<details open ontoggle="window.broken=7">x</details> <a href="javascript:window.broken=8">y</a>

| a | b |
|---|---|
| <b onmouseover=window.broken=9>c</b> | [d](javascript:window.broken=10) |
"""
NESTED = (
    ">" * DEEP
    + " deep quote\n\n"
    + "- " * 400
    + "deep list\n\n"
    + "[" * 4000
    + "\n\n"
    + "*a_" * 3000
    + "\n"
)

HOSTILE_NAME = f"{BIDI} <b>name</b>"
HOSTILE_PROMPT = f"prompt {SCRIPT} {BIDI} {ANSI.replace(chr(0), '')}"

_TITLE = f"title {SCRIPT} {BIDI} {ANSI}"
_TOOL = {
    "toolCallId": "t1",
    "title": _TITLE,
    "kind": "execute",
    "status": "completed",
    "rawInput": {"command": f"command {SCRIPT} {BIDI}"},
    "content": [
        {"type": "content", "content": {"type": "text", "text": f"output {SCRIPT} {ANSI} {BIDI}"}},
        {
            "type": "diff",
            "path": f"path/{BIDI}{SCRIPT}",
            "oldText": f"old {SCRIPT}\n",
            "newText": f"new {SCRIPT} {ANSI}\n",
        },
    ],
}

HOSTILE_PARTS = {
    "": [
        {"tool": _TOOL},
        {"plan": [[f"plan {SCRIPT} {BIDI}", "completed"], [LINKS, "pending"]]},
        {"think": f"thought {SCRIPT} {BIDI} {ANSI}"},
        {"say": f"text {SCRIPT} {BIDI} {ANSI}\n\n{LINKS}\n\n"},
        {"tool": {"toolCallId": "t4", "title": "four", "kind": "other", "status": "completed"}},
        {"say": NESTED},
        {"tool": {"toolCallId": "t2", "title": "two", "kind": "other", "status": "failed"}},
        {"say": f"```{SCRIPT}\n{SCRIPT}\n{json.dumps(BIDI)}\n```\n\n"},
        {"tool": {"toolCallId": "t3", "title": "three", "kind": "other", "status": "completed"}},
        {"say": "x" * MEGABYTE},
        {"say": "\n\nthe end of it"},
    ]
}
"""What the coding agent of the hostile task does."""
