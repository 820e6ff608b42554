"""The files that a worktree gets beside git's own."""
