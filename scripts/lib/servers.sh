#!/usr/bin/env bash
# Functions of the scripts that start servers; to be sourced.

command_pid=

# Prints an error and exits with status 2: nothing was checked.
refuse() {
    echo "${0##*/}: $*" >&2
    exit 2
}

# Prints a port without a listener. It is below the kernel's ephemeral ports, so that no outgoing
# connection takes it before the server does.
free_port() {
    local port
    while port=$((20000 + RANDOM % 12000)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

# Sends these signals to the command, ten seconds apart, until it ends; signal 0 only waits.
stop_command() {
    local signal
    for signal in "$@"; do
        kill "-$signal" "$command_pid" 2>/dev/null || return 0
        for _ in {1..100}; do
            kill -0 "$command_pid" 2>/dev/null || return 0
            sleep 0.1
        done
    done
}

# Stops the command, if it is running, and exits on INT and TERM.
stop_command_on_signals() {
    # At Ctrl-C the terminal has also signalled the command, which may still be cleaning up.
    trap 'stop_command 0 TERM KILL; exit 130' INT
    trap 'stop_command TERM KILL; exit 143' TERM
}

# Runs the command and exits with its status.
run_command() {
    # In the background, so that a signal ends the wait. The subshell restores the signals that a
    # shell ignores in background commands.
    (
        trap - INT QUIT EXIT TERM
        exec "$@"
    ) <&0 &
    command_pid=$!
    local status=0
    wait "$command_pid" || status=$?
    command_pid=
    exit "$status"
}
