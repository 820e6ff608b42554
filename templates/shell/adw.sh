adw() {
    local adw_word adw_file adw_path adw_code
    for adw_word in "$@"; do
        case $adw_word in
        --) break ;;
        cd | --cd | remove | rm | delete | finish | rename)
            adw_file=$(mktemp) || return
            ADW_CD_FILE=$adw_file command adw-worktree "$@"
            adw_code=$?
            adw_path=$(cat -- "$adw_file")
            rm -f -- "$adw_file"
            [ -z "$adw_path" ] || builtin cd -- "$adw_path"
            return "$adw_code"
            ;;
        esac
    done
    command adw-worktree "$@"
}
