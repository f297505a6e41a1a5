# What systemctl and docker have in common: a service is a group of processes that a folder
# tells about.

# Starts a command as a service: start FOLDER LOG COMMAND...
start() {
    local folder=$1 log=$2
    shift 2
    mkdir -p "$folder"
    rm -f "$folder/group" "$folder/code"
    # The supervisor must not hold open what this script prints to.
    (
        set +e
        setsid "$@" >>"$log" 2>&1 </dev/null &
        echo $! >"$folder/group"
        wait $!
        echo $? >"$folder/code"
    ) >/dev/null 2>&1 &
    # A group of its own it has a moment later.
    until is_active "$folder" || [[ -e $folder/code ]]; do :; done
}

# The processes of a service, oldest first; a new one may have taken over.
members() {
    [[ -e $1/group ]] || return 0
    # Some may end before they are come to.
    { cat /proc/[0-9]*/stat 2>/dev/null || true; } |
        awk -v group="$(<"$1/group")" '$5 == group && $3 != "Z" { print $1 }' |
        sort --numeric-sort
}

# The one that serves.
main_process() { members "$1" | tail --lines=1; }

is_active() { [[ $(members "$1") ]]; }

# Waits until a log has a line after the first COUNT ones, or the service has ended:
# await FOLDER LOG COUNT PATTERN
await() {
    local process
    # Its first process: others may be of a moment.
    process=$(members "$1" | sed --quiet 1p)
    [[ $process ]] || return 1
    grep --quiet --max-count=1 --extended-regexp "$4" \
        < <(tail --lines="+$(($3 + 1))" --follow --sleep-interval=0.02 --pid="$process" "$2")
}

lines() { if [[ -e $1 ]]; then wc --lines <"$1"; else echo 0; fi; }

# Ends a service; fails when its first process does not end well.
end() {
    local process
    for process in $(members "$1"); do
        kill -TERM "$process" || true
    done
    for process in $(members "$1"); do
        tail --follow --sleep-interval=0.02 --pid="$process" /dev/null
    done
    until [[ -s $1/code ]]; do :; done
    [[ $(<"$1/code") == 0 ]]
}

has_other_users() { awk '{ users += $3 } END { exit users == 1 }' /proc/self/uid_map; }

refuse() {
    echo "${0##*/} $*: this stand-in does not know that" >&2
    exit 64
}
