# adw-worktree in bash: eval "$(adw-worktree shell-init bash)"
_adw_complete() {
    _adw_complete_from 1
}
_git_adw_worktree() { # what git's own completion calls for `git adw-worktree`
    local adw_at=1
    while ((adw_at < COMP_CWORD)) && [[ ${COMP_WORDS[adw_at]} != adw-worktree ]]; do
        ((adw_at++))
    done
    _adw_complete_from $((adw_at + 1))
    ((${#COMPREPLY[@]} == 0)) || COMPREPLY=("${COMPREPLY[@]/%/ }") # git's adds no space
}
_adw_complete_from() {
    local adw_line adw_at adw_runs=
    COMPREPLY=()
    for ((adw_at = $1; adw_at < COMP_CWORD; adw_at++)); do
        case ${COMP_WORDS[adw_at]} in
        run) adw_runs=1 ;;
        --)
            [[ -z $adw_runs ]] || _adw_complete_command $((adw_at + 1))
            return
            ;;
        esac
    done
    while IFS= read -r adw_line; do
        COMPREPLY+=("$(printf %q "${adw_line%%$'\t'*}")")
    done < <(command adw-worktree complete -- "${COMP_WORDS[@]:$1:COMP_CWORD-$1+1}" 2>/dev/null)
}
_adw_complete_command() { # the words of another command, from $1 on
    local adw_line
    if declare -F _comp_command_offset >/dev/null; then
        _comp_command_offset "$1"
    elif declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif ((COMP_CWORD == $1)); then
        while IFS= read -r adw_line; do
            COMPREPLY+=("$adw_line")
        done < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")
    fi
}
complete -o default -F _adw_complete adw adw-worktree
