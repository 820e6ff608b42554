# adw-worktree in fish: adw-worktree shell-init fish | source
function adw --wraps adw-worktree --description "worktrees and ports for agent workflows"
    for adw_word in $argv
        switch $adw_word
            case --
                break
            case cd --cd remove rm delete finish rename
                set -l adw_file (mktemp)
                or return
                ADW_CD_FILE=$adw_file command adw-worktree $argv
                set -l adw_code $status
                set -l adw_path (cat -- $adw_file)
                rm -f -- $adw_file
                test -z "$adw_path"
                or builtin cd $adw_path
                return $adw_code
        end
    end
    command adw-worktree $argv
end
complete -c adw-worktree -f -a '(command adw-worktree complete -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
