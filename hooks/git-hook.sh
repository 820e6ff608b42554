# >>> adw-worktree >>>
# Lets a slot go soon after its worktree went. If git's list of worktrees changed since the last
# pass, a pass is started in the background. Until then only builtins run, so that a git command
# pays for this shell and nothing more; it is never failed, delayed or printed to.
# To take this out again: adw-worktree hooks uninstall
adw_worktree_hook() {
    [ -z "${ADW_WORKTREE_BUSY-}" ] || return 0
    [ @EVENT@ != reference-transaction ] || [ "${1-}" = committed ] || return 0
    adw_common=@COMMON@
    adw_stamp=$adw_common/adw-worktree/stamp
    [ -f "$adw_stamp" ] || return 0
    adw_going=
    if [ @EVENT@ = post-index-change ] && [ -f "${GIT_DIR-}/adw-worktree.json" ]; then
        # `git worktree remove` looks at the index first, as `git status`: then it is the parent's
        # parent. Where there is no /proc, the next command notices.
        read -r adw_skip adw_skip adw_skip adw_parent adw_skip <"/proc/$PPID/stat" || :
        read -r adw_command <"/proc/${adw_parent:-none}/cmdline" || :
        case ${adw_command-} in *worktree*remove*) adw_going=${GIT_DIR##*/} ;; esac
    fi
    if [ -n "$adw_going" ]; then
        set -- --wait-gone "$adw_going"
    elif [ "$adw_common/worktrees" -nt "$adw_stamp" ] || [ @WATCHED@ -nt "$adw_stamp" ]; then
        set --
    elif [ -s "$adw_stamp" ] && [ ! -d "$adw_common/worktrees" ]; then
        set --
    else
        return 0
    fi
    # One pass for a burst of git commands.
    [ -n "$adw_going" ] || echo >"$adw_stamp" || return 0
    (@COMMAND@ -C "$adw_common" reconcile --background "$@" </dev/null >/dev/null 2>&1 &)
}
adw_worktree_hook "$@" 2>/dev/null || :
# <<< adw-worktree <<<
