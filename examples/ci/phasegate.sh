#!/bin/sh
# Phasegate from a pipeline, with nothing but curl.
#
#   PHASEGATE_URL=https://phasegate.example ./phasegate.sh upload results.json.gz [summary.json ...] -- \
#       service=shop test=checkout version=1.4.0 branch=main commit=abc exit_code=0 fact=seeded_users=10000
#   PHASEGATE_URL=https://phasegate.example ./phasegate.sh gate phase=7A version=1.4.0 [environment=ci] \
#       [format=markdown|junit|github|gitlab|json|text] [wait=600]
#
# `upload` stores a run and prints what the server says of it; the same file twice is the same run, so it is tried again
# while the server restarts. `gate` prints a comment for the pull request, or the format that is asked for, and exits 0
# (pass, warn, overridden), 1 (fail) or 3 (nobody can tell). With `wait`, it asks again for so many seconds while it
# cannot be told because runs of the version have not arrived, and while the server restarts; then the last answer stands
# (every PHASEGATE_PAUSE seconds, 5 by default).
# Anything that goes wrong exits 2. Where the server asks for a token, set PHASEGATE_TOKEN.
set -eu

fail() {
    echo "phasegate: $*" >&2
    exit 2
}

# Every byte, so that no value means anything to a URL.
encoded() {
    printf %s "$1" | od -An -v -tx1 | tr -d ' \n' | sed 's/../%&/g'
}

query() {
    joined=
    for pair in "$@"; do
        case $pair in
            *[!a-z_]*=*) [ -z "$(printf %s "${pair%%=*}" | tr -d 'a-z_')" ] || fail "$pair is not name=value" ;;
        esac
        case $pair in
            ?*=*) joined="$joined${joined:+&}${pair%%=*}=$(encoded "${pair#*=}")" ;;
            *) fail "$pair is not name=value" ;;
        esac
    done
    printf %s "$joined"
}

# ask PATH [curl's options]: the answer to standard output, its headers to $headers.
ask() {
    path=$1
    shift
    if [ -n "${PHASEGATE_TOKEN:-}" ]; then
        # by a file, not as an argument: other users of the machine see those
        printf 'header = "Authorization: Bearer %s"\n' "$PHASEGATE_TOKEN" >"$config"
    fi
    curl --silent --show-error --config "$config" --dump-header "$headers" --output "$answer" \
        --retry 8 --retry-max-time 240 --retry-connrefused --retry-all-errors --connect-timeout 10 --max-time 900 \
        --write-out '%{http_code}' "$@" "${PHASEGATE_URL%/}/api/v1/$path" >"$status" ||
        fail "no answer from $PHASEGATE_URL"
    case $(cat "$status") in
        2*) cat "$answer" ;;
        *) fail "$PHASEGATE_URL answered $(cat "$status"): $(cat "$answer")" ;;
    esac
}

upload() {
    files=0 named=
    for file in "$@"; do
        [ "$file" = -- ] && break
        [ -r "$file" ] || fail "there is no file $file"
        files=$((files + 1))
    done
    [ "$files" -gt 0 ] || fail "name the file that k6 wrote with --out json"
    first=$1
    shift
    while [ "$#" -gt 0 ] && [ "$1" != -- ]; do
        # Everything but the first file is sent ahead, and named by its digest.
        told=$(ask artefacts --data-binary "@$1") || exit 2
        digest=$(printf %s "$told" | sed -n 's/.*"artefact": *"\([0-9a-f]\{1,\}\)".*/\1/p')
        [ -n "$digest" ] || fail "$PHASEGATE_URL did not take $1"
        named="$named${named:+ }artefact=$digest"
        shift
    done
    [ "$#" -eq 0 ] || shift
    # shellcheck disable=SC2086  # digests have no blanks
    said=$(query "$@" "name=$(basename "$first")" $named) || exit 2
    ask "runs?$said" --data-binary "@$first"
    echo
}

# header NAME: what the answer's header of this name says.
header() {
    tr -d '\r' <"$headers" | tr '[:upper:]' '[:lower:]' | sed -n "s/^$1: *//p" | tail -n 1
}

gate() {
    wait_s=0 format=format=markdown
    for pair in "$@"; do # what the server is asked goes to the end again
        shift
        case $pair in
            wait=*) wait_s=${pair#wait=} ;;
            format=*) format=$pair ;;
            *) set -- "$@" "$pair" ;;
        esac
    done
    case $wait_s in '' | *[!0-9]*) fail "wait=$wait_s is not a number of seconds" ;; esac
    asked=$(query "$@" "$format") || exit 2
    if [ "$wait_s" -eq 0 ]; then
        ask "gate?$asked"
        code=$(header x-phasegate-exit-code)
        exit "${code:-2}"
    fi
    until_s=$(($(date +%s) + wait_s)) code=
    while :; do
        left_s=$((until_s - $(date +%s)))
        # In a subshell: where the server does not answer, this question ends, and not the waiting.
        if (ask "gate?$asked" --retry 0 --max-time "$((left_s > 30 ? left_s : 30))") >"$said" 2>"$problem"; then
            mv "$said" "$last"
            code=$(header x-phasegate-exit-code)
            [ "$(header x-phasegate-awaits-runs)" = true ] || break
        else
            case $(cat "$status") in
                000 | 5*) ;;
                *) code= && break ;; # it is there, and refuses
            esac
        fi
        [ "$(date +%s)" -lt "$until_s" ] || break
        [ -e "$waiting" ] || echo "phasegate: asking again for up to $wait_s s" | tee "$waiting" >&2
        sleep "${PHASEGATE_PAUSE:-5}"
    done
    if [ -z "$code" ]; then
        cat "$problem" >&2
        exit 2
    fi
    cat "$last"
    exit "$code"
}

: "${PHASEGATE_URL:?is the address of the server}"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
umask 077
config=$folder/config headers=$folder/headers answer=$folder/answer status=$folder/status
said=$folder/said last=$folder/last problem=$folder/problem waiting=$folder/waiting
: >"$config"
command=${1:-}
[ "$#" -eq 0 ] || shift
case $command in
    upload) upload "$@" ;;
    gate) gate "$@" ;;
    *) fail "say upload or gate" ;;
esac
