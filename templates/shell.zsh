# adw-worktree in zsh: eval "$(adw-worktree shell-init zsh)"
adw() {
    local adw_word adw_file adw_path adw_code
    if [[ "${1-}" == cd ]]; then
        shift
        adw_path=$(command adw-worktree path "$@") && builtin cd -- "$adw_path"
        return
    fi
    for adw_word in "$@"; do
        case $adw_word in
        --) break ;;
        --cd)
            adw_file=$(mktemp) || return
            ADW_CD_FILE=$adw_file command adw-worktree "$@"
            adw_code=$?
            adw_path=$(cat -- "$adw_file")
            rm -f -- "$adw_file"
            [[ -z "$adw_path" ]] || builtin cd -- "$adw_path"
            return $adw_code
            ;;
        esac
    done
    command adw-worktree "$@"
}
_adw_complete() {
    local -a adw_found
    local adw_line
    for adw_line in "${(@f)$(command adw-worktree complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        [[ -z "$adw_line" ]] || adw_found+=("${${adw_line%%$'\t'*}//:/\\:}:${adw_line#*$'\t'}")
    done
    if (( $#adw_found )); then
        _describe adw-worktree adw_found
    else
        _files
    fi
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -u; }
compdef _adw_complete adw adw-worktree
