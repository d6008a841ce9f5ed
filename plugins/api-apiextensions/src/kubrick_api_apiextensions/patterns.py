"""Whether Go's regexp would compile a pattern, and what it says if not.

Python's engine stands in for Go's: it knows more (what follows "(?", backreferences), which is refused here first.
"""

import re

LOOKS = re.compile(r"\(\?(?:<?[=!]|[>#(]|P=)")
BACK = re.compile(r"\\[1-9]")
REPEATED = re.compile(r"\{(\d+)(?:,(\d*))?\}")
MOST = 1000
MESSAGES = (
    ("missing ), unterminated subpattern", "missing closing ): `{whole}`"),
    ("unbalanced parenthesis", "unexpected ): `{whole}`"),
    ("unterminated character set", "missing closing ]: `{rest}`"),
    ("nothing to repeat", "missing argument to repetition operator: `{one}`"),
    ("multiple repeat", "invalid nested repetition operator: `{both}`"),
    ("bad character range", "invalid character class range: `{range}`"),
    ("bad escape (end of pattern)", "trailing backslash at end of expression: ``"),
    ("bad escape", "invalid escape sequence: `{two}`"),
)


def pattern_flaw(pattern: str) -> str:
    """What Go says of a pattern that it can't read; "" of one that it can."""
    bare = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", lambda found: _blank(found[0]), pattern, flags=re.DOTALL)
    if look := LOOKS.search(bare):
        return f"error parsing regexp: invalid or unsupported Perl syntax: `{look[0]}`"
    if back := BACK.search(pattern.replace("\\\\", "  ")):
        return f"error parsing regexp: invalid escape sequence: `{back[0]}`"
    for count in REPEATED.finditer(bare):
        least, most = int(count[1]), int(count[2] or count[1])
        if not least <= most <= MOST:
            return f"error parsing regexp: invalid repeat count: `{count[0]}`"
    try:
        re.compile(python_pattern(pattern))
    except re.error as error:
        return f"error parsing regexp: {_message(pattern, error)}"
    except (OverflowError, RecursionError):
        return "error parsing regexp: expression nests too deeply: ``"
    return ""


def _blank(text: str) -> str:
    return text if text.startswith("\\") and text[1:].isdigit() else " " * len(text)


def python_pattern(pattern: str) -> str:
    """Go's spellings that Python doesn't have: classes, \\z, \\Q…\\E, flags and named groups."""
    text = re.sub(r"\\Q(.*?)(?:\\E|\Z)", lambda found: re.escape(found[1]), pattern, flags=re.DOTALL)
    text = re.sub(r"\\[pP](?:\{\^?\w+\}|\w)", r"\\w", text)
    text = re.sub(r"\[:\^?[a-z]+:\]", "a", text)
    text = re.sub(r"\\x\{[0-9A-Fa-f]+\}", "a", text)
    text = text.replace(r"\z", r"\Z").replace(r"\C", ".").replace("(?<", "(?P<")
    return re.sub(r"\(\?([imsU]*)(?:-[imsU]+)?([:)])", lambda found: "(?:" if found[2] == ":" else "(?:)", text)


def _message(pattern: str, error: re.error) -> str:
    at = min(error.pos or 0, len(pattern))
    rest = pattern[at:]
    for python, go in MESSAGES:
        if error.msg.startswith(python):
            span = error.msg.removeprefix("bad character range ").split(" ")[0]
            return go.format(
                whole=pattern, rest=rest, one=rest[:1], two=rest[:2], both=pattern[max(at - 1, 0) : at + 1],
                range=span,
            )  # fmt: skip
    return f"{error.msg}: `{pattern}`"
