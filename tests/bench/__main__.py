"""Runs every benchmark of this folder, each in a process of its own; or only those named.

python tests/bench [NAME ...]
"""

import subprocess
import sys
from pathlib import Path


def main() -> int:
    scripts = {file.stem: file for file in sorted(Path(__file__).parent.glob("[a-z]*.py"))}
    names = sys.argv[1:] or list(scripts)
    if unknown := [name for name in names if name not in scripts]:
        sys.stderr.write(f"there is no benchmark {unknown[0]!r}; there are: {', '.join(scripts)}\n")
        return 2
    for name in names:
        sys.stdout.write(f"\n== {name}\n")
        sys.stdout.flush()
        subprocess.run([sys.executable, scripts[name]], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
