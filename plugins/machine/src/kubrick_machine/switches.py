"""The kernel's switches: turned on for as long as pods run, and put back as they were.

What they were before stands in a file, so that a program that was killed doesn't take its own work for the
machine's: the next start leaves the file as it is, and whoever takes the cluster down reads it.
"""

import json
from pathlib import Path

from attrs import define, field

ON = "1"


@define
class Switches:
    """Those of the calling thread's network namespace. `file` (None: memory alone) remembers what they were."""

    file: Path | None
    root: Path = Path("/proc/sys")
    _before: dict[str, str] = field(factory=dict, init=False)

    def turn_on(self, name: str) -> None:
        """``net/…``. A kernel without that switch (no IPv6) is left alone."""
        switch = self.root / name
        try:
            value = switch.read_text().strip()
        except FileNotFoundError:
            return
        if value == ON:
            return
        self._remember()
        if name not in self._before:
            self._before[name] = value
            if self.file is not None:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                self.file.write_text(json.dumps(self._before))
        switch.write_text(ON)

    def put_back(self) -> None:
        """What somebody else has set meanwhile stays."""
        self._remember()
        for name, value in self._before.items():
            switch = self.root / name
            if switch.exists() and switch.read_text().strip() == ON:
                switch.write_text(value)
        self._before = {}
        if self.file is not None:
            self.file.unlink(missing_ok=True)

    def _remember(self) -> None:
        """What an earlier run saw counts: it was first."""
        if self.file is not None:
            try:
                self._before = {**self._before, **json.loads(self.file.read_text())}
            except (OSError, ValueError):
                pass
