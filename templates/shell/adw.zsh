# adw-worktree in zsh: eval "$(adw-worktree shell-init zsh)"
_adw_complete() {
    local -a adw_found
    local adw_line
    local -i adw_at=${words[(i)--]}
    if (( adw_at < CURRENT && ${words[(i)run]} < adw_at )); then
        shift $adw_at words
        (( CURRENT -= adw_at ))
        _normal
        return
    fi
    for adw_line in "${(@f)$(command adw-worktree complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        [[ -z "$adw_line" ]] || adw_found+=("${${adw_line%%$'\t'*}//:/\\:}:${adw_line#*$'\t'}")
    done
    if (( $#adw_found )); then
        _describe adw-worktree adw_found
    else
        _files
    fi
}
_git-adw-worktree() { # what git's own completion calls for `git adw-worktree`
    _adw_complete
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -u; }
compdef _adw_complete adw adw-worktree git-adw-worktree
