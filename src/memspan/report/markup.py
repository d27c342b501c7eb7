"""The prose's small markup: blocks parted by blank lines, and a few marks inside a line.

Blocks: ``# Title``, ``## Heading #id``, ``### Heading``, ``- item`` lines, ``$$ equation`` lines, ``!name
argument …`` (the next lines of the block are its text), else a paragraph. Marks: ``*emphasis*``,
``**strong**``, ```code```, ``[words](#id)``, ``$mathematics$`` with ``_x``, ``_{xyz}`` and ``^…``.
The same blocks become a page (HTML) and pages (Typst), so that nothing is said twice.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

MARKS = re.compile(
    r"\*\*(?P<strong>.+?)\*\*|\*(?P<em>[^*]+?)\*|`(?P<code>[^`]+)`"
    r"|\[(?P<words>[^\]]+)\]\(#(?P<target>[\w-]+)\)|\$(?P<math>[^$]+)\$",
    re.DOTALL,
)
SCRIPTS = re.compile(r"([_^])(?:\{([^}]*)\}|(.))")
NAMED = re.compile(r"\b(d?[A-Za-z])_([A-Za-z]{1,3})\b")
"""A letter with an index, as in W_hh, where it is written plainly."""
LETTERS = re.compile(r"[A-Za-zα-ωφτ]+")
WORDS = ("diag", "softmax", "tanh", "mod", "log", "max", "sigmoid")
"""Letters in mathematics that are set upright."""


@dataclass(frozen=True)
class Block:
    """One block: what kind, its arguments, and its lines."""

    kind: str
    args: tuple[str, ...]
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """Its lines as one."""
        return " ".join(self.lines)


def blocks(source: str) -> Iterator[Block]:
    """Yield the blocks of a source."""
    for part in re.split(r"\n\s*\n", source):
        lines = tuple(line.strip() for line in part.strip().splitlines())
        if lines:
            yield _block(lines)


def _block(lines: tuple[str, ...]) -> Block:
    first = lines[0]
    if heading := re.fullmatch(r"(#{1,3}) (.+?)(?: #([\w-]+))?", first):
        return Block(f"h{len(heading[1])}", (heading[3] or "",), (heading[2],))
    if first.startswith("!"):
        name, *args = first[1:].split()
        return Block(name, tuple(args), lines[1:])
    if first.startswith("$$"):
        return Block("equation", (), tuple(line.removeprefix("$$").strip() for line in lines))
    if first.startswith("- "):
        return Block("list", (), tuple(re.split(r"(?:^| )- ", " ".join(lines))[1:]))
    return Block("p", (), lines)


def _inline(text: str, plain: Callable[[str], str], marked: Callable[[str, re.Match[str]], str]) -> str:
    made, end = [], 0
    for match in MARKS.finditer(text):
        made += [plain(text[end : match.start()]), marked(str(match.lastgroup), match)]
        end = match.end()
    return "".join([*made, plain(text[end:])])


def scripted(text: str) -> str:
    """Return a plain text in the markup: its letters with an index become mathematics.

    Example:
        >>> scripted("the recursion for W_hh")
        'the recursion for $W_{hh}$'
    """
    return NAMED.sub(r"$\1_{\2}$", text)


def to_html(text: str) -> str:
    """Return a line as HTML."""

    def marked(kind: str, match: re.Match[str]) -> str:
        if kind == "target":
            return f'<a href="#{match["target"]}">{to_html(match["words"])}</a>'
        if kind == "math":
            return math_html(match["math"])
        inner = html.escape(match[kind], quote=False) if kind == "code" else to_html(match[kind])
        return f"<{kind}>{inner}</{kind}>"

    return _inline(text, lambda plain: html.escape(plain, quote=False), marked)


def math_html(text: str) -> str:
    """Return mathematics as HTML: letters slanted, scripts raised and lowered."""

    def letters(part: str) -> str:
        made, end = [], 0
        for match in LETTERS.finditer(part):
            word = match[0] if match[0] in WORDS else f"<i>{match[0]}</i>"
            made += [html.escape(part[end : match.start()], quote=False), word]
            end = match.end()
        return "".join([*made, html.escape(part[end:], quote=False)])

    made, end = [], 0
    for match in SCRIPTS.finditer(text):
        tag = "sub" if match[1] == "_" else "sup"
        made += [letters(text[end : match.start()]), f"<{tag}>{letters(match[2] or match[3])}</{tag}>"]
        end = match.end()
    return f'<span class="math">{"".join([*made, letters(text[end:])])}</span>'


def to_typst(text: str) -> str:
    """Return a line as Typst markup; every text is a string, so that nothing in it is read as markup."""

    def marked(kind: str, match: re.Match[str]) -> str:
        if kind == "target":
            return to_typst(match["words"])
        if kind == "math":
            return math_typst(match["math"])
        if kind == "code":
            return f"#raw({quoted(match['code'])})"
        return f"#{'strong' if kind == 'strong' else 'emph'}[{to_typst(match[kind])}]"

    return _inline(text, lambda plain: f"#{quoted(plain)}" if plain else "", marked)


def math_typst(text: str) -> str:
    """Return mathematics as Typst markup, in the words of ``math_html``."""

    def letters(part: str) -> str:
        made, end = [], 0
        for match in LETTERS.finditer(part):
            word = f"#{quoted(match[0])}" if match[0] in WORDS else f"#emph[#{quoted(match[0])}]"
            made += [f"#{quoted(part[end : match.start()])}", word]
            end = match.end()
        return "".join([*made, f"#{quoted(part[end:])}"])

    made, end = [], 0
    for match in SCRIPTS.finditer(text):
        mark = "sub" if match[1] == "_" else "super"
        made += [letters(text[end : match.start()]), f"#{mark}[{letters(match[2] or match[3])}]"]
        end = match.end()
    return "".join([*made, letters(text[end:])])


def quoted(text: str) -> str:
    """Return a Typst string."""
    return json.dumps(text, ensure_ascii=False)
