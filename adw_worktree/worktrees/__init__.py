"""A worktree's life, a file for each verb: create, remove, finish, heal, …"""
