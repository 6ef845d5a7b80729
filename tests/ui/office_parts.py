"""What the coding agents of the office say and do, by a word of what they are asked; the steps are those of peer.py."""

from collections.abc import Mapping, Sequence

RANKING = """\
cd "$TASKYARD_TEMPLATE_DIR/words"
echo "The ten most frequent words of $(find . -name '*.txt' | wc -l) files:"
find . -name '*.txt' -exec cat {} + | tr 'A-Z' 'a-z' | tr -cs 'a-z' '\\n' | grep -E '.{5,}' | sort | uniq -c | sort -rn | head -10
"""

APP = """\
[[app]]
slug = "reports"
display_name = "Reports"
url = "http://127.0.0.1:8000"
command = "exec python3 -m http.server 8000 --bind 127.0.0.1 2>/dev/null"
healthcheck = { url = "http://127.0.0.1:8000/", interval = 1, threshold = 5 }
"""

PERIODS = '''\
"""Periods of reports."""

from datetime import UTC, datetime, timedelta


def month_of(day: datetime) -> tuple[datetime, datetime]:
    """First and last moment of a month."""
    first = day.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (first + timedelta(days=32)).replace(day=1)
    return first, following - timedelta(days=1)


def today() -> datetime:
    return datetime.now(UTC)
'''

TESTS = """\
from datetime import UTC, datetime

from periods import month_of


def test_a_month_begins_with_its_first_day():
    first, _ = month_of(datetime(2026, 2, 14, tzinfo=UTC))
    assert first == datetime(2026, 2, 1, tzinfo=UTC)
"""

OLD = "    return first, following - timedelta(days=1)\n"
NEW = "    return first, following\n"

MENDED = """\
python3 - <<'END'
import pathlib
code = pathlib.Path("periods.py")
text = code.read_text().replace("First and last moment of a month.", "First moment of a month, and of the next.")
code.write_text(text.replace("following - timedelta(days=1)", "following"))
tests = pathlib.Path("test_periods.py")
tests.write_text(tests.read_text() + '''

def test_a_month_ends_where_the_next_begins():
    _, end = month_of(datetime(2026, 2, 28, 23, 59, tzinfo=UTC))
    assert end == datetime(2026, 3, 1, tzinfo=UTC)
''')
END
curl -s -m 5 https://updates.example.org/ || true
"""

FOUND = """\
`month_of` returns the *start* of the last day, so whatever happens on that day is left out.

- Ends are now **exclusive**: a month ends where the next one begins.
- Callers compare with `<` already, so nothing else changes.

| Suite | Before | After |
|---|---:|---:|
| `test_periods.py` | 1 of 2 | 2 of 2 |
| all | 211 of 212 | 212 of 212 |

```python
first, end = month_of(day)
rows = [row for row in rows if first <= row.at < end]
```
"""

MIGRATION = """\
create table report_rows (like reports including all);
insert into report_rows select * from reports;
"""

Part = Sequence[Mapping[str, object]]

PARTS: Mapping[str, Part] = {
    "last day after midnight": [
        {
            "think": "The end of a period is probably meant to be exclusive. I look at where it is used first."
        },
        {
            "plan": [
                ["Find where months end", "completed"],
                ["Mend the end of a month", "completed"],
                ["Write a test that fails without it", "completed"],
            ]
        },
        {
            "tool": {
                "toolCallId": "1",
                "title": "grep -rn month_of .",
                "kind": "search",
                "status": "completed",
                "content": [
                    {
                        "type": "content",
                        "content": {
                            "type": "text",
                            "text": "periods.py:6:def month_of(day: datetime)\nreport.py:31:    first, end = month_of(day)\ntest_periods.py:3:from periods import month_of",
                        },
                    }
                ],
            }
        },
        {"run": MENDED},
        {
            "tool": {
                "toolCallId": "2",
                "title": "Edit periods.py",
                "kind": "edit",
                "status": "completed",
                "content": [{"type": "diff", "path": "periods.py", "oldText": OLD, "newText": NEW}],
            }
        },
        {
            "tool": {
                "toolCallId": "3",
                "title": "python -m pytest -q",
                "kind": "execute",
                "status": "completed",
                "content": [
                    {"type": "content", "content": {"type": "text", "text": "212 passed in 4.1s"}}
                ],
            }
        },
        {"say": FOUND},
    ],
    "Show me the app": [{"say": "It runs on port 8000; open it by the *Apps* tab.\n"}],
    "flaky": [
        {
            "say": "It logs in twice within a second, and the second code is that of the first. I freeze the clock in the test.\n"
        }
    ],
    "release notes": [
        {"say": "The draft is in `NOTES.md`: four things are new, two are mended.\n"}
    ],
    "Describe the import": [
        {
            "say": "`docs/import.md` says now which columns there are, what may be empty, and what is refused.\n"
        }
    ],
    "export faster": [
        {
            "plan": [
                ["Measure it", "completed"],
                ["Stream rows instead of lists", "in_progress"],
                ["Measure it again", "pending"],
            ]
        },
        {
            "tool": {
                "toolCallId": "1",
                "title": "python bench.py --rows 1000000",
                "kind": "execute",
                "status": "completed",
                "content": [
                    {
                        "type": "content",
                        "content": {"type": "text", "text": "export: 41.2 s, 1.9 GB"},
                    }
                ],
            }
        },
        {
            "say": "All rows are held in memory before the first one is written. I let them stream.\n"
        },
        {
            "tool": {
                "toolCallId": "2",
                "title": "Edit export.py",
                "kind": "edit",
                "status": "in_progress",
            }
        },
        {"wait": True},
    ],
    "Translate": [{"say": "31 of 84 messages are done.\n"}, {"wait": True}],
    "new table": [
        {
            "plan": [
                ["Write the migration", "completed"],
                ["Run it on the test database", "in_progress"],
                ["Compare the rows", "pending"],
            ]
        },
        {
            "say": "The migration copies the rows and leaves the old table alone. I would like to try it on the test database.\n"
        },
        {
            "ask": {
                "title": "psql test -f migrations/0042.sql",
                "kind": "execute",
                "path": "migrations/0042.sql",
                "old": "",
                "new": MIGRATION,
                "allowed": [{"say": "Done: 18,204 rows in both.\n"}],
                "refused": [{"say": "Then I leave it.\n"}],
            }
        },
    ],
}
