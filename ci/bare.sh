#!/usr/bin/env bash
# Runs the README's two commands as somebody else has them: each run in an environment that this script
# makes by itself, from a fresh copy of the committed tree, with a clean set of variables, an empty HOME
# and no network. A run must end with 0, and must name what did not run there. That an environment is
# really there is checked inside it first, so that a run with everything cannot pass for one without.
# Does not check this machine as it is: ci/test.sh and ci/verify.sh do. What an environment needs is said
# by --list; where it cannot be made the run says `not run` with the reason.
# Logs and reports stay in target/bare.
set -euo pipefail

usage() {
    cat <<'END'
Usage: ci/bare.sh [OPTIONS] [ENVIRONMENT[+ENVIRONMENT]...]...

Runs the README's commands in each of these environments; `a+b` is one run in both at once.
Without arguments: every environment, alone.

  --grouped           every environment, combined into few runs in which none hides another
  --only COMMAND      only `verify` or only `test`
  --share DIR         begin with the dependencies that are built in this target directory; where there is
                      none, leave there what was built
  --home DIR          the HOME of all runs, left there: to cargo a crate at another path is another crate,
                      so what was built serves whoever has CARGO_HOME=DIR/.cargo
  --list              list the environments, and run nothing
  --help              print this

RINGPROOF_TIME_FACTOR makes every deadline longer.

Exit codes:
  0  every run ended as it should
  1  a command failed, an environment was not as it should be, or what it lacks was not reported
  2  wrong usage
  3  nothing failed, but an environment could not be made here

Examples:
  ci/bare.sh user+no-32bit+no-cxx
  ci/bare.sh --only verify container
END
}

environments='no-32bit   no compiler for 32 bits
no-cxx     no C++ and no clang
no-tools   nothing but Rust, a C compiler, git and what every system has
user       an ordinary user with a HOME of his own (another one than root: needs setpriv)
container  ptrace, unshare, mount, perf_event_open refused; 64 MiB in /dev/shm (needs root)
one-cpu    one CPU, by affinity (needs taskset)
quota      half of the CPU time, by cgroup (needs root, or a cgroup that may be written)
odd-path   a directory with a space and a letter outside ASCII in its name
archive    the files alone, without .git
target-dir CARGO_TARGET_DIR
triple     CARGO_BUILD_TARGET
rustflags  RUSTFLAGS=-C target-cpu=native
cc-words   CC and CXX of two words, the first a compiler cache
no-terminal no terminal, TERM=dumb, an empty standard input
load       four busy processes for each CPU, and little free memory'

# No run of these hides what another of them shows: what needs root is not beside an ordinary user, and a
# quota is not beside processes that leave less than it.
grouped=(no-32bit+no-cxx+no-tools+user container+one-cpu odd-path+archive+no-terminal+quota
    target-dir+triple+rustflags+cc-words load)

names() { awk '{ print $1 }' <<<"$environments"; }
known() { grep -qxF -- "$1" <<<"$(names)"; }
# Whether the present run is in this environment.
in_it() { [[ +$combination+ == *+$1+* ]]; }

# ---- inside an environment: `bare.sh --inside`, with everything in place and $BARE_… from outside

links32='int main(void) { return 0; }'
# Half of all CPUs, in microseconds of each tenth of a second.
half() { echo $(($(nproc --all) * 50000)); }

# Says what is not as it should be in the environment $1, if anything is.
wrong_with() {
    case $1 in
        no-32bit)
            cc -x c - -o /dev/null <<<"$links32" || echo 'the C compiler makes no program at all'
            ! cc -m32 -x c - -o /dev/null <<<"$links32" 2>/dev/null || echo 'cc -m32 makes a program'
            ;;
        no-cxx)
            for tool in c++ g++ clang clang++; do
                ! command -v "$tool" || echo "$tool is found"
            done
            ;;
        no-tools)
            for tool in python3 cmake pkg-config gdb jq make; do
                ! command -v "$tool" || echo "$tool is found"
            done
            ;;
        user)
            [ "$(id -u)" -ne 0 ] || echo 'the user is root'
            [ -w "$HOME" ] || echo 'HOME is not his own'
            ;;
        container)
            "$BARE_TOOL" probe || true
            [ "$(df --output=size -k /dev/shm | tail -n 1)" -eq 65536 ] || df -k /dev/shm
            ;;
        one-cpu) [ "$(nproc)" -eq 1 ] || echo "there are $(nproc) CPUs" ;;
        quota)
            grep -q "/$(basename "$BARE_CGROUP")\$" /proc/self/cgroup || echo 'not in the cgroup'
            grep -qsE "^$(half) ?" "$BARE_CGROUP/cpu.max" "$BARE_CGROUP/cpu.cfs_quota_us" || echo 'no quota is set'
            ;;
        odd-path) [[ $PWD == *' '* && $PWD == *[![:ascii:]]* ]] || echo "the directory is $PWD" ;;
        archive) ! git rev-parse --git-dir 2>/dev/null || echo 'git finds a repository' ;;
        target-dir) [[ $CARGO_TARGET_DIR == /* ]] || echo 'CARGO_TARGET_DIR is not set' ;;
        triple) [[ $CARGO_BUILD_TARGET == *-linux-* ]] || echo 'CARGO_BUILD_TARGET is not set' ;;
        rustflags) [ -n "$RUSTFLAGS" ] || echo 'RUSTFLAGS is not set' ;;
        cc-words) [[ $CC == *' '* ]] || echo "CC is $CC" ;;
        no-terminal)
            # shellcheck disable=SC2217  # nothing is read; the question is whether it opens
            ! (true </dev/tty) 2>/dev/null || echo 'there is a controlling terminal'
            ! [ -t 0 ] || echo 'standard input is a terminal'
            ! read -r _ || echo 'standard input is not empty'
            ;;
        load) ;; # The processes are outside, and are looked at there.
    esac
}

# Says what is not as it should be when the commands have run in the environment $1.
wrong_after() {
    case $1 in
        target-dir) [ ! -e target ] || echo 'something was built in ./target all the same' ;;
        triple) [ -d "$BARE_TARGET/$CARGO_BUILD_TARGET" ] || echo 'nothing was built for the triple' ;;
        cc-words) [ -s "$BARE_CCACHE" ] || echo 'the compiler cache was never called' ;;
    esac
}

inside() {
    local environment wrong bad=0
    cd "$BARE_TREE"
    for environment in ${combination//+/ }; do
        wrong=$(wrong_with "$environment" 2>&1)
        [ -z "$wrong" ] || {
            printf 'FAILED: the environment %s is not made: %s\n' "$environment" "$wrong"
            return 1
        }
    done
    while read -r command; do
        local start=$SECONDS code=0 log
        log=$BARE_LOGS/$(awk '{ print $2 }' <<<"$command").log
        printf '  %s: running, with its output in %s\n' "$command" "${log#"$BARE_LOGS"/}"
        # A test that passes shows what it said only if it is not captured.
        RUST_TEST_NOCAPTURE=1 timeout --kill-after=30 "$BARE_DEADLINE" bash -c "$command" \
            >"$log" 2>&1 || code=$?
        if [ "$code" -ne 0 ]; then
            bad=1
            printf '  FAILED: %s: exit code %d after %d s\n' "$command" "$code" $((SECONDS - start))
            [ "$code" -ne 124 ] || printf '  (that is the deadline of %s s)\n' "$BARE_DEADLINE"
            failures "$log" | sed 's/^/    /'
        else
            printf '  passed: %s, %d s\n' "$command" $((SECONDS - start))
        fi
    done <"$BARE_COMMANDS"
    for environment in ${combination//+/ }; do
        wrong=$(wrong_after "$environment" 2>&1)
        [ -z "$wrong" ] || {
            printf '  FAILED: %s: %s\n' "$environment" "$wrong"
            bad=1
        }
    done
    return "$bad"
}

# What a log says of failures, else its last lines.
failures() {
    grep -aE '^(✗|error|FAILED|INCOMPLETE)|^test .* FAILED$|panicked at|^  │' "$1" | tail -n 25 | grep . ||
        tail -n 15 "$1"
}

# ---- outside

# `mount`s that one run sees, then the run itself; in a mount namespace of its own where one is needed.
stage() {
    if [ -n "${BARE_CGROUP_FILE-}" ]; then echo $$ >"$BARE_CGROUP_FILE"; fi
    if [ -n "${BARE_BIND-}" ]; then mount --bind "$BARE_BIND" "$BARE_RUST"; fi
    if in_it container; then mount -t tmpfs -o size=64m,mode=1777 ringproof-bare /dev/shm; fi
    exec "$@"
}

case ${1-} in
    --inside)
        combination=$BARE_RUN
        inside
        exit
        ;;
    --stage)
        shift
        combination=$BARE_RUN
        stage "$@"
        ;;
esac

only=
share=
home=
runs=()
while [ $# -gt 0 ]; do
    case $1 in
        --help | -h) usage; exit 0 ;;
        --list) printf '%s\n' "$environments"; exit 0 ;;
        --grouped) runs+=("${grouped[@]}") ;;
        --only)
            case ${2-} in verify | test) only=$2 ;; *) usage >&2; exit 2 ;; esac
            shift
            ;;
        --share)
            [ -n "${2-}" ] || { usage >&2; exit 2; }
            share=$(realpath -m -- "$2")
            shift
            ;;
        --home)
            [ -n "${2-}" ] || { usage >&2; exit 2; }
            home=$(realpath -m -- "$2")
            shift
            ;;
        -*) usage >&2; exit 2 ;;
        *)
            for environment in ${1//+/ }; do
                known "$environment" || {
                    printf 'bare.sh: there is no environment %s; there are: %s\n' "$environment" "$(names | xargs)" >&2
                    exit 2
                }
            done
            runs+=("$1")
            ;;
    esac
    shift
done
[ "${#runs[@]}" -gt 0 ] || mapfile -t runs < <(names)

factor=${RINGPROOF_TIME_FACTOR:-1}
awk -v factor="$factor" 'BEGIN { exit !(factor ~ /^[0-9]+(\.[0-9]+)?$/ && factor >= 1 && factor <= 1000) }' || {
    printf 'bare.sh: RINGPROOF_TIME_FACTOR is %s; expected a number from 1 to 1000\n' "$factor" >&2
    exit 2
}
# Far above what one command needs, also under load: who reaches it hangs.
deadline=$(awk -v factor="$factor" 'BEGIN { printf "%d", 2 * 3600 * factor }')

self=$(realpath -- "${BASH_SOURCE[0]}")
cd "$(dirname "$self")/.."
repository=$PWD
logs=$repository/target/bare

base=$(mktemp -d "${TMPDIR:-/tmp}/ringproof-bare.XXXXXX")
base=$(realpath "$base")
# Another user walks through it.
chmod 755 "$base"
summary=()
cgroup=
running=

# Every process of the runs has this in its environment, whatever session it is in.
ours() {
    { grep -lzsxF "RINGPROOF_BARE=$base" /proc/[0-9]*/environ || true; } | cut -d / -f 3
}

# Ends what a run has left, and says how many processes that were.
end_all() {
    local pids count=0 round
    for round in 1 2 3 4 5; do
        pids=$(ours)
        [ -n "$pids" ] || break
        [ "$round" -gt 1 ] || count=$(wc -l <<<"$pids")
        # shellcheck disable=SC2086  # numbers
        kill -KILL $pids 2>/dev/null || true
        sleep 0.2
    done
    echo "$count"
}

end_load() {
    local pid
    for pid in "${load[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${load[@]}"; do wait "$pid" 2>/dev/null || true; done
    load=()
}
load=()

end_cgroup() {
    [ -n "$cgroup" ] || return 0
    # It is busy until the kernel has reaped the last process.
    for _ in {1..50}; do
        rmdir "$cgroup" 2>/dev/null && break
        sleep 0.1
    done
    cgroup=
}

# shellcheck disable=SC2317  # the trap below calls it
on_exit() {
    local code=$? run
    trap '' INT TERM
    # The shell says of each of them that it was killed.
    { end_all >/dev/null && end_load && wait; } 2>/dev/null
    end_cgroup
    if [ -n "$running" ]; then
        summary+=("✗ $running: not run (interrupted)")
    fi
    rm -rf -- "$base"
    # Whoever read this may be gone.
    trap '' PIPE
    if [ "${#summary[@]}" -gt 0 ]; then
        printf '\n-- bare: what became of each run\n'
        printf '%s\n' "${summary[@]}"
        for run in "${runs[@]:${#summary[@]}}"; do printf '– %s: not run (interrupted)\n' "$run"; done
    fi
    exit "$code"
}
trap on_exit EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

# ---- what all runs share

git rev-parse --verify --quiet HEAD >/dev/null || {
    echo 'bare.sh: this is no checkout of a commit: there is nothing to make fresh copies of' >&2
    exit 1
}
[ -z "$(git status --porcelain)" ] || echo 'note: what is not committed is not part of the copies'

# The README's commands that prove, without their comments: the first block below that heading.
readme_commands() {
    git show HEAD:README.md |
        awk '/^## How it is proved/ { below = 1 } below && /^```console/ { inside = 1; next } /^```/ && inside { inside = below = 0 } inside' |
        sed -E 's/[[:space:]]+#.*//'
}
commands=$base/commands
readme_commands >"$commands"
if [ "$(wc -l <"$commands")" -ne 2 ] || ! grep -q '^cargo verify' "$commands" || ! grep -q '^cargo test' "$commands"; then
    echo 'bare.sh: FAILED: what README.md has below "How it is proved" is not cargo verify and cargo test, but:' >&2
    cat "$commands" >&2
    exit 1
fi
[ -z "$only" ] || sed -i "/^cargo $only/!d" "$commands"

cp -- "$self" "$base/bare.sh"
sysroot=$(rustc --print sysroot)
host=$(rustc -vV | sed -n 's/^host: //p')
rust=$base/rust
tool=$base/tool
${CC:-cc} -O1 -Wall -Wextra -Werror -o "$tool" ci/bare.c

# A HOME with the crates of the lock file, so that nothing is fetched in a run.
home=${home:-$base/home}
mkdir -p "$home/.cargo/registry"
printf 'copying the crates of the lock file\n'
cargo fetch --locked --quiet
from=${CARGO_HOME:-$HOME/.cargo}/registry
for registry in "$from"/cache/*/; do
    [ -d "$registry" ] || continue
    name=$(basename "$registry")
    mkdir -p "$home/.cargo/registry/cache/$name" "$home/.cargo/registry/index"
    awk '$1 == "name" { name = $3 } $1 == "version" { print name "-" $3 ".crate" }' Cargo.lock | tr -d '"' |
        while read -r crate; do
            [ ! -f "$registry/$crate" ] || printf '%s\0' "$registry/$crate"
        done | xargs -0 -r cp -t "$home/.cargo/registry/cache/$name"
    cp -r "$from/index/$name" "$home/.cargo/registry/index/"
done

# An ordinary user: ourselves, or as root an unused user id.
is_root() { [ "$(id -u)" -eq 0 ]; }
ordinary=$(id -u)
if is_root; then
    ordinary=20000
    while getent passwd "$ordinary" >/dev/null; do ordinary=$((ordinary + 1)); done
fi
can_mount=
if is_root && unshare --mount --propagation private mount -t tmpfs ringproof-bare /mnt 2>/dev/null; then
    can_mount=yes
fi
if [ -n "$can_mount" ]; then mkdir "$rust"; else ln -s "$sysroot" "$rust"; fi

# Makes the cgroup, or says why not.
make_cgroup() {
    local v1 v2 why
    v2=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
    v1=$(awk '$3 == "cgroup" && "," $4 "," ~ /,cpu,/ { print $2; exit }' /proc/self/mounts)
    if [ -n "$v2" ] && grep -qsw cpu "$v2/cgroup.subtree_control"; then
        cgroup=$v2/ringproof-bare.$$
        if why=$(mkdir "$cgroup" 2>&1 && echo "$(half) 100000" 2>&1 >"$cgroup/cpu.max"); then return; fi
    elif [ -n "$v1" ]; then
        cgroup=$v1/ringproof-bare.$$
        if why=$(mkdir "$cgroup" 2>&1 && half 2>&1 >"$cgroup/cpu.cfs_quota_us"); then return; fi
    else
        why='no cgroup controls the CPU time'
    fi
    [ -z "$cgroup" ] || rmdir "$cgroup" 2>/dev/null || true
    cgroup=
    printf 'cannot make a cgroup with a CPU quota: %s\n' "${why%%$'\n'*}"
}

# Says why the run cannot be made here, if it cannot.
impossible() {
    if in_it user && is_root; then
        command -v setpriv >/dev/null || echo 'setpriv is not installed, and this is root'
        if [ -z "$can_mount" ] && ! setpriv --reuid "$ordinary" --clear-groups test -x "$sysroot/bin/cargo"; then
            echo 'the toolchain lies where only root can read, and no mount can be made here'
        fi
    fi
    if in_it container && [ -z "$can_mount" ]; then
        echo 'a /dev/shm of its own needs root and the right to mount'
    fi
    if in_it one-cpu && ! command -v taskset >/dev/null; then echo 'taskset is not installed'; fi
}

# The executables on the path, by links, without those that the environment lacks.
make_path() {
    local directory name path=$1
    mkdir "$path"
    local directories
    IFS=: read -r -a directories <<<"$PATH:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    for directory in "${directories[@]}"; do
        # The toolchain comes below, and another user cannot look into our HOME.
        if [[ ! -d $directory || $directory == "$HOME"/* || $directory == */.cargo/bin ]]; then continue; fi
        find -L "$directory" -maxdepth 1 -type f -executable -print0 2>/dev/null |
            xargs -0 -r ln -s -t "$path" 2>/dev/null || true
    done
    for name in cargo rustc rustdoc rustfmt cargo-clippy clippy-driver cargo-fmt; do
        rm -f "$path/$name"
        [ ! -x "$sysroot/bin/$name" ] || ln -s "$rust/bin/$name" "$path/$name"
    done
    rm -f "$path/rustup"
    local hidden=()
    if in_it no-cxx; then hidden+=('c++' 'c++-*' 'g++' 'g++-*' '*-g++' '*-g++-*' '*-c++' 'clang' 'clang-*' 'clang++' 'clang++-*'); fi
    if in_it no-tools; then
        hidden+=('python*' 'pypy*' 'cmake' 'ctest' 'make' 'gmake' 'ninja' 'pkg-config' 'pkgconf' '*-pkg-config' 'gdb' 'lldb*'
            'valgrind' 'strace' 'ltrace' 'perf' 'jq' 'node' 'npm' 'docker' 'podman' 'curl' 'wget' 'sudo' 'shellcheck' 'herd7')
    fi
    for name in "${hidden[@]}"; do find "$path" -maxdepth 1 -name "$name" -delete; done
    if in_it no-32bit; then without_32bit "$path"; fi
    if in_it cc-words; then
        printf '#!/bin/sh\necho "$*" >>"%s"\nexec "$@"\n' "$base/ccache.log" >"$base/ccache"
        chmod +x "$base/ccache"
        ln -sf "$base/ccache" "$path/ccache"
    fi
}

# Puts before each compiler what its packages without multilib do: headers of 32 bits are missing, and so
# is what a program is linked with.
without_32bit() {
    local path=$1 compiler real
    mkdir -p "$base/headers/gnu"
    echo '#error "gnu/stubs-32.h: No such file or directory (hidden by ci/bare.sh)"' >"$base/headers/gnu/stubs-32.h"
    while read -r compiler; do
        real=$(readlink "$compiler")
        rm "$compiler"
        cat >"$compiler" <<END
#!/bin/sh
bits=64 link=yes
for argument; do
    case \$argument in
        -m32 | -mx32) bits=32 ;;
        -c | -S | -E | -fsyntax-only) link= ;;
    esac
done
if [ "\$bits" = 32 ]; then
    if [ -n "\$link" ]; then
        echo '/usr/bin/ld: cannot find Scrt1.o: No such file or directory (hidden by ci/bare.sh)' >&2
        exit 1
    fi
    set -- -isystem '$base/headers' "\$@"
fi
exec '$real' "\$@"
END
        chmod 755 "$compiler"
    done < <(find "$path" -maxdepth 1 -regextype posix-extended \
        -regex '.*/([a-z0-9_]+-linux-gnu-)?(cc|gcc|c89|c99|c89-gcc|c99-gcc|c\+\+|g\+\+|clang|clang\+\+)(-[0-9]+)?')
}

# Where the report must say what did not run in an environment: a pattern for `layer: reason`.
must_report() {
    case $1 in
        no-32bit) echo '^abi: .*-m32' ;;
        no-cxx) echo '^(abi|layouts): .*(c|g)\+\+' ;;
        user) echo '^faults: .*root' ;;
        container) echo '^crash: .*(ptrace|not permitted|permission)' ;;
    esac
}

# `layer: reason` for each row that did not run. The report has one key in a line.
not_run() {
    awk -F '": "' '
        /^ *"layer": / { layer = $2; sub(/",?$/, "", layer); missing = 0 }
        /^ *"verdict": "not_run"/ { missing = 1 }
        /^ *"reason": / && missing { sub(/^ *"reason": "/, ""); sub(/",?$/, ""); print layer ": " $0; missing = 0 }' "$1"
}

# One run; sets `outcome` for the summary.
run() {
    local start=$SECONDS combination=$1 bad=0 tree=$base/tree own='' target user=0 why environment
    why=$(impossible)
    if [ -z "$why" ] && in_it quota; then make_cgroup >"$base/why"; why=$(cat "$base/why"); fi
    [ -z "$why" ] || {
        outcome="– $combination: not run ($(head -n 1 <<<"$why"))"
        return 3
    }

    # What is built elsewhere or otherwise has a place of its own; only dependencies are shared then.
    for environment in odd-path target-dir triple rustflags; do
        if in_it "$environment"; then own=$base/own; fi
    done
    if in_it odd-path; then own="$base/own ö"; fi
    [ -z "$own" ] || tree=$own
    if [ ! -d "$tree" ]; then
        git clone --quiet --no-hardlinks -- "$repository" "$tree" || {
            outcome="✗ $combination: FAILED: no copy of the tree can be made"
            return 1
        }
    fi
    target=$tree/target
    if in_it target-dir; then target=$base/elsewhere; fi
    if [ ! -d "$target" ]; then
        if built "$base/tree/target"; then
            start_from "$base/tree/target" "$target"
        elif [ -n "$share" ] && built "$share"; then
            start_from "$share" "$target"
        fi
    fi

    local prefix=() variables=() path=$base/bin
    rm -rf "$path"
    make_path "$path"
    if is_root; then
        if in_it user; then user=$ordinary; fi
        chown -R "$user:$user" "$tree" "$home"
        [ ! -d "$target" ] || chown -R "$user:$user" "$target"
    fi
    rm -rf "$base/logs" "$base/ccache.log"
    mkdir -p "$base/logs" "$target"
    touch "$base/ccache.log"
    if is_root; then chown "$user" "$base/logs" "$base/ccache.log" "$target"; fi
    if in_it archive; then mv "$tree/.git" "$base/git"; fi

    variables=(PATH="$path" HOME="$home" LANG=C.UTF-8 TERM="${TERM:-dumb}" USER=somebody LOGNAME=somebody
        SHELL=/bin/sh CARGO_NET_OFFLINE=true GIT_CEILING_DIRECTORIES="$base" RINGPROOF_TIME_FACTOR="$factor"
        RINGPROOF_BARE="$base" BARE_RUN="$combination" BARE_TREE="$tree" BARE_TARGET="$target" BARE_LOGS="$base/logs"
        BARE_COMMANDS="$commands" BARE_DEADLINE="$deadline" BARE_TOOL="$tool" BARE_CCACHE="$base/ccache.log"
        BARE_CGROUP="$cgroup")
    if in_it target-dir; then variables+=(CARGO_TARGET_DIR="$target"); fi
    if in_it triple; then variables+=(CARGO_BUILD_TARGET="$host"); fi
    if in_it rustflags; then variables+=(RUSTFLAGS='-C target-cpu=native'); fi
    if in_it cc-words; then variables+=(CC='ccache cc' CXX='ccache c++'); fi
    if in_it no-terminal; then variables+=(TERM=dumb); fi

    if in_it one-cpu; then prefix+=(taskset --cpu-list "$(taskset --cpu-list --pid $$ | sed 's/.*: //; s/[-,].*//')"); fi
    if in_it user && is_root; then prefix+=(setpriv --reuid "$ordinary" --regid "$ordinary" --clear-groups); fi
    if in_it container; then prefix+=("$tool" deny); fi
    prefix+=(env -i "${variables[@]}" bash "$base/bare.sh" --inside)
    prefix=(env RINGPROOF_BARE="$base" BARE_RUN="$combination" BARE_RUST="$rust"
        BARE_BIND="${can_mount:+$sysroot}" BARE_CGROUP_FILE="${cgroup:+$cgroup/cgroup.procs}"
        bash "$base/bare.sh" --stage "${prefix[@]}")
    if [ -n "$can_mount" ]; then prefix=(unshare --mount --propagation private "${prefix[@]}"); fi

    if in_it load; then start_load; fi
    local code=0
    # A session of its own has no terminal.
    setsid "${prefix[@]}" </dev/null &
    wait $! || code=$?
    [ "$code" -eq 0 ] || bad=1

    if in_it load; then
        local pid
        for pid in "${load[@]}"; do
            kill -0 "$pid" 2>/dev/null || { bad=1; printf '  FAILED: load: a process of it ended meanwhile\n'; }
        done
        end_load
    fi
    local left
    left=$(end_all)
    [ "$left" -eq 0 ] || { bad=1; printf '  FAILED: %d processes were left behind\n' "$left"; }
    if in_it quota; then
        # On a busy machine it may never be reached.
        awk '$1 == "nr_throttled" { print "  quota: reached in " $2 " tenths of a second" }' "$cgroup/cpu.stat"
        end_cgroup
    fi
    if in_it archive; then mv "$base/git" "$tree/.git"; fi
    keep "$combination" "$target"
    if [ "$only" != test ]; then
        look_at_report "$base/logs/report.json" || bad=1
    fi
    if [ -f "$base/logs/test.log" ]; then
        grep -aohE '(not run|skipped): .*' "$base/logs/test.log" | sort | uniq -c |
            awk '{ count = $1; sub(/^ *[0-9]+ /, ""); print "  test: " $0 (count > 1 ? " (" count " times)" : "") }'
    fi
    if [ -n "$own" ]; then rm -rf -- "$tree" "$target"; fi
    if [ "$bad" -eq 0 ]; then
        outcome="✓ $combination: passed, $((SECONDS - start)) s"
    else
        outcome="✗ $combination: FAILED, $((SECONDS - start)) s; repeat: ci/bare.sh${only:+ --only $only} $combination"
    fi
    return "$bad"
}

# Shows what did not run, and holds it against what must not have.
look_at_report() {
    local rows environment pattern bad=0
    if [ ! -s "$1" ]; then
        printf '  FAILED: there is no report.json\n'
        return 1
    fi
    rows=$(not_run "$1")
    [ -z "$rows" ] || sort <<<"$rows" | uniq -c | sort -k 2 |
        awk '{ count = $1; sub(/^ *[0-9]+ /, ""); print "  not run, " count (count > 1 ? " checks of " : " check of ") substr($0, 1, 200) }'
    for environment in ${combination//+/ }; do
        pattern=$(must_report "$environment")
        if [ -n "$pattern" ] && ! grep -qE -- "$pattern" <<<"$rows"; then
            printf '  FAILED: %s: nothing that did not run matches "%s": was it there after all?\n' "$environment" "$pattern"
            bad=1
        fi
    done
    if in_it archive && ! grep -q '"commit": null' "$1"; then
        printf '  FAILED: archive: the report names a commit\n'
        bad=1
    fi
    return "$bad"
}

# Copies report and logs of a run to target/bare.
keep() {
    local form
    for form in json html; do
        [ ! -f "$2/verify/report.$form" ] || mv "$2/verify/report.$form" "$base/logs/"
    done
    rm -rf "${logs:?}/$1"
    mkdir -p "$logs/$1"
    cp -r "$base/logs/." "$logs/$1/"
}

# Whether something was built in this target directory.
built() { [ -d "$1/debug/deps" ] || [ -d "$1/release/deps" ]; }

# Makes a target directory that has the dependencies of another one.
start_from() {
    local profile
    for profile in debug release; do
        if [ -d "$1/$profile/deps" ]; then
            mkdir -p "$2/$profile"
            cp -a --reflink=auto "$1/$profile/.fingerprint" "$1/$profile/build" "$1/$profile/deps" "$2/$profile/"
        fi
    done
    forget_members "$2"
}

# The crates of this workspace in a target directory that was elsewhere: they have paths compiled in, which
# cargo does not look at when it asks whether they are fresh.
forget_members() {
    find "$1" -path '*/.fingerprint/ringproof*' -prune -exec rm -rf {} +
    find "$1" \( -name 'ringproof*' -o -name 'libringproof*' \) -prune -exec rm -rf {} +
}

start_load() {
    local cpu
    # Enough is left for the largest of the compiler's processes, and no more. First, while there is time for it.
    printf '  load: taking memory\n'
    "$tool" press "$(awk '$1 == "MemTotal:" { most = $2 / 8192; print int(most > 2048 ? most : 2048) }' /proc/meminfo)" \
        >"$base/pressed" &
    load+=($!)
    until [ -s "$base/pressed" ] || ! kill -0 $! 2>/dev/null; do sleep 0.1; done
    for ((cpu = 0; cpu < 4 * $(nproc); cpu++)); do
        sh -c 'while :; do :; done' &
        load+=($!)
    done
}

worst=0
for combination in "${runs[@]}"; do
    printf '\n-- bare: %s\n' "$combination"
    code=0
    outcome=
    running=$combination
    run "$combination" || code=$?
    running=
    printf '%s\n' "$outcome"
    summary+=("$outcome")
    case $code in
        0) ;;
        3) [ "$worst" -ne 0 ] || worst=3 ;;
        *) worst=1 ;;
    esac
done
if [ -n "$share" ] && ! built "$share" && built "$base/tree/target"; then
    if is_root; then chown -R "$(stat -c %u:%g "$repository")" "$base/tree/target"; fi
    forget_members "$base/tree/target"
    mkdir -p "$share"
    cp -a --reflink=auto "$base/tree/target/." "$share/"
fi
exit "$worst"
