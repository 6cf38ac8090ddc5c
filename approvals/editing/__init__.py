"""Editing policies as forms and as text: both make the same document."""

from approvals.editing.editor import Editor, changed, of_post

__all__ = ["Editor", "changed", "of_post"]
