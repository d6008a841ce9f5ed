"""``python -m kubrick_kernel``: the ``kubrick`` command, for where it is not on the PATH."""

from kubrick_kernel.cli import main

if __name__ == "__main__":
    main()
