#!/bin/sh
# Installs ringproof for C and C++: see usage below.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

usage() {
    cat <<'END'
Usage: impl/ffi/install.sh [OPTIONS]

Installs the headers, the library that is built from Rust, shared and static, and what finds them:
files for pkg-config (ringproof: the headers alone; ringproof-lib: the library) and a package for CMake.

  --prefix DIR      where; an absolute path [default: /usr/local]
  --libdir DIR      for the library, below the prefix [default: lib]
  --headers-only    nothing that is built: this needs neither Rust nor a compiler
  --archive FILE    install from this libringproof.a, and build none: for an installation as root of what
                    `cargo build --release -p ringproof-ffi` has made as somebody else
  --profile NAME    Cargo's profile for what is built [default: release]
  --help            print this

DESTDIR is put before every path that is written to, and into none of the files. CC links the shared
library [default: cc]; CARGO builds [default: cargo].

Exit codes:
  0  everything is installed
  1  something could not be built or written
  2  wrong usage

Examples:
  impl/ffi/install.sh --prefix "$HOME/.local"
  DESTDIR=/tmp/package impl/ffi/install.sh --prefix /usr --libdir lib/x86_64-linux-gnu
END
}

wrong() {
    printf 'install.sh: %s; --help says how it is used\n' "$1" >&2
    exit 2
}
fail() {
    printf 'install.sh: %s\n' "$1" >&2
    exit 1
}

prefix=/usr/local libdir=lib headers_only='' archive='' profile=release
while [ $# -gt 0 ]; do
    case $1 in
        --help) usage; exit ;;
        --headers-only) headers_only=1 ;;
        --prefix | --libdir | --archive | --profile)
            [ $# -gt 1 ] || wrong "$1 needs a value"
            case $1 in
                --prefix) prefix=$2 ;;
                --libdir) libdir=$2 ;;
                --archive) archive=$2 ;;
                --profile) profile=$2 ;;
            esac
            shift
            ;;
        *) wrong "there is no option $1" ;;
    esac
    shift
done
case $prefix in
    *[\"\$\\\`#]* | *' ' | *'
'*) wrong "the prefix $prefix has a character that pkg-config's files cannot hold" ;;
    /*) ;;
    *) wrong "the prefix $prefix is not an absolute path" ;;
esac
case /$libdir/ in
    //* | */../*) wrong "the libdir $libdir is not below the prefix" ;;
    *[!A-Za-z0-9_./+-]*) wrong "the libdir $libdir has an unusual character" ;;
esac
[ -z "$archive" ] || [ -f "$archive" ] || fail "there is no archive $archive"
prefix=${prefix%/}

version=$(sed -n 's/^version = "\([0-9.]*\)"$/\1/p' "$here/../../Cargo.toml")
[ -n "$version" ] || fail 'Cargo.toml has no version'
# As build.rs says: what is compatible has one name.
case $version in
    0.*) compatible=${version%.*} ;;
    *) compatible=${version%%.*} ;;
esac

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The archive, as cargo says: where it lies depends on its settings.
build() {
    (cd "$here" && "${CARGO:-cargo}" build --package ringproof-ffi --profile "$profile" \
        --message-format=json-render-diagnostics) >"$scratch/said" || fail 'cargo build failed'
    archive=$(grep -o '"[^"]*/libringproof\.a"' "$scratch/said" | tail -n 1 | tr -d '"')
    [ -f "$archive" ] || fail 'cargo named no libringproof.a'
}

# Links the shared library from the archive, so that it has versions of its symbols and exports nothing
# else. Cargo's own has the same SONAME and exports the same: a linker takes the list from rustc, and
# no second one.
link_shared() {
    private=$(sed -n 's/^Libs.private: //p' "$here/ringproof-lib.pc.in")
    # shellcheck disable=SC2086  # several words each
    ${CC:-cc} -shared -o "$scratch/libringproof.so" \
        -Wl,-soname,"libringproof.so.$compatible" -Xlinker --version-script="$here/libringproof.map" \
        -Wl,--gc-sections -Wl,-z,defs -Wl,-z,relro -Wl,-z,now \
        -Wl,--whole-archive "$archive" -Wl,--no-whole-archive $private ||
        fail 'the shared library could not be linked'
}

# A file of this tree with the words between @ signs replaced.
filled() {
    # In the replacement of sed, & and the delimiter mean something.
    quoted=$(printf '%s' "$prefix" | sed 's/[&|]/\\&/g')
    sed "/^#/d; s|@LIBDIR@|$libdir|; s|@VERSION@|$version|; s|@PREFIX@|$quoted|" "$1" >"$scratch/filled"
}

root=${DESTDIR:-}$prefix
place() {
    install -m 644 "$1" "$2"
    printf '%s\n' "$2"
}
if [ -z "$headers_only" ]; then
    [ -n "$archive" ] || build
    link_shared
fi

install -d "$root/include" "$root/$libdir/pkgconfig" "$root/$libdir/cmake/ringproof"
for header in ringproof.h ringproof.hpp; do
    place "$here/include/$header" "$root/include/$header"
done
for file in ringproof-config.cmake ringproof-config-version.cmake; do
    place "$here/cmake/$file" "$root/$libdir/cmake/ringproof/$file"
done
filled "$here/ringproof.pc.in"
place "$scratch/filled" "$root/$libdir/pkgconfig/ringproof.pc"
[ -z "$headers_only" ] || exit 0

place "$here/include/ringproof_lib.h" "$root/include/ringproof_lib.h"
filled "$here/ringproof-lib.pc.in"
place "$scratch/filled" "$root/$libdir/pkgconfig/ringproof-lib.pc"
place "$archive" "$root/$libdir/libringproof.a"
place "$scratch/libringproof.so" "$root/$libdir/libringproof.so.$version"
# Programs ask for the second when they run, and for the third when they are linked.
ln -sf "libringproof.so.$version" "$root/$libdir/libringproof.so.$compatible"
ln -sf "libringproof.so.$compatible" "$root/$libdir/libringproof.so"
printf '%s\n' "$root/$libdir/libringproof.so.$compatible" "$root/$libdir/libringproof.so"
