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
function __adw_complete
    set -l adw_words (commandline -opc)
    set -l adw_first 1
    if test $adw_words[1] = git
        set adw_first (contains -i -- adw-worktree $adw_words)
        or return
    end
    set -e adw_words[1..$adw_first]
    if set -l adw_at (contains -i -- -- $adw_words); and contains run $adw_words[1..$adw_at]
        set -e adw_words[1..$adw_at]
        complete -C (string join ' ' -- (string escape -- $adw_words) (commandline -ct))
    else
        command adw-worktree complete -- $adw_words (commandline -ct) 2>/dev/null
    end
end
complete -c adw-worktree -f -a '(__adw_complete)'
complete -c git -f -n 'contains adw-worktree (commandline -opc)' -a '(__adw_complete)'
