"""`python -m checkrein.cli`: the same as the `checkrein` command."""

from checkrein.cli import main

main()
