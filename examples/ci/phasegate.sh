#!/bin/sh
# Phasegate from a pipeline, with nothing but curl.
#
#   PHASEGATE_URL=https://phasegate.example ./phasegate.sh upload results.json.gz [summary.json ...] -- \
#       service=shop test=checkout version=1.4.0 branch=main commit=abc exit_code=0 fact=seeded_users=10000
#   PHASEGATE_URL=https://phasegate.example ./phasegate.sh gate phase=7A version=1.4.0 [environment=ci]
#
# `upload` stores a run and prints what the server says of it; the same file twice is the same run, so it is tried again
# while the server restarts. `gate` prints a comment for the pull request and exits 0 (pass, warn, overridden), 1 (fail)
# or 3 (nobody can tell). Anything that goes wrong exits 2. Where the server asks for a token, set PHASEGATE_TOKEN.
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

gate() {
    asked=$(query "$@" format=markdown) || exit 2
    ask "gate?$asked"
    code=$(sed -n 's/^[Xx]-[Pp]hasegate-[Ee]xit-[Cc]ode: *\([0-9]\).*/\1/p' "$headers")
    exit "${code:-2}"
}

: "${PHASEGATE_URL:?is the address of the server}"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
umask 077
config=$folder/config headers=$folder/headers answer=$folder/answer status=$folder/status
: >"$config"
command=${1:-}
[ "$#" -eq 0 ] || shift
case $command in
    upload) upload "$@" ;;
    gate) gate "$@" ;;
    *) fail "say upload or gate" ;;
esac
