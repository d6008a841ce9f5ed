"""Warning headers (RFC 7234 §5.5) as kube-apiserver writes them, for clients to print."""

from collections.abc import Iterable

TOTAL_LIMIT = 4 * 1024
ITEM_LIMIT = 256


def warning_headers(warnings: Iterable[str]) -> list[tuple[str, str]]:
    """One header per distinct warning; long ones are cut short when all together pass 4 KiB."""
    texts = list(dict.fromkeys(_clean(text) for text in warnings if text))
    if sum(len(text) for text in texts) > TOTAL_LIMIT:
        texts = [text[:ITEM_LIMIT] for text in texts]
    headers: list[tuple[str, str]] = []
    total = 0
    for text in texts:
        total += len(text)
        if total > TOTAL_LIMIT:
            break
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        headers.append(("Warning", f'299 - "{quoted}"'))
    return headers


def _clean(text: str) -> str:
    """Without control characters, which would end the header."""
    return "".join(" " if ord(character) < 32 or ord(character) == 127 else character for character in text)
