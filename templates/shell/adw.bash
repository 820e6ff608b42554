# adw-worktree in bash: eval "$(adw-worktree shell-init bash)"
_adw_complete() {
    local adw_line
    COMPREPLY=()
    while IFS= read -r adw_line; do
        COMPREPLY+=("$(printf %q "${adw_line%%$'\t'*}")")
    done < <(command adw-worktree complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _adw_complete adw adw-worktree
