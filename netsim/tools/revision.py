"""The git commit that netsim runs from, read without git."""

from __future__ import annotations

from pathlib import Path

SHOWN = 12  # hexadecimal digits


def commit(root: Path | None = None) -> str:
    """Return the first digits of the commit of a git checkout; '' where there is none.

    `root` holds ``.git``; None: the folder that holds the package netsim.
    """
    git = (root or Path(__file__).resolve().parents[2]) / ".git"
    try:
        if git.is_file():  # a worktree: the file says where its folder is
            git = git.parent / git.read_text("utf-8").removeprefix("gitdir:").strip()
        head = (git / "HEAD").read_text("utf-8").strip()
        if not head.startswith("ref:"):
            return head[:SHOWN]
        name = head.removeprefix("ref:").strip()
        shared = git / "commondir"
        common = git / shared.read_text("utf-8").strip() if shared.is_file() else git
        if (common / name).is_file():
            return (common / name).read_text("utf-8").strip()[:SHOWN]
        packed = (line.split() for line in (common / "packed-refs").read_text("utf-8").splitlines())
        return next((words[0][:SHOWN] for words in packed if words[1:] == [name]), "")
    except (OSError, ValueError):
        return ""
