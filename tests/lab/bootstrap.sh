# What ./quickstart and ./run-tests need before Python takes over; sourced by both with the
# repository's root as the working directory. Each function does nothing where nothing is missing.
# shellcheck shell=bash

VENV=$PWD/.venv

fail() {
    printf '\n%s: %s\n' "${0##*/}" "$1" >&2
    exit 1
}

step() {
    printf '\n== %s\n' "$1"
}

# as_root ARGUMENT...: the script itself, as root, for somebody who may use sudo.
as_root() {
    [[ $(id -u) == 0 ]] && return
    command -v sudo > /dev/null || fail "needs root: it installs packages and talks to Docker; run it as root"
    exec sudo --preserve-env=http_proxy,https_proxy,no_proxy,XDG_CACHE_HOME bash "$0" "$@"
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" > /dev/null 2>&1; do
        ((SECONDS < deadline)) || fail "$what; gave up waiting"
        read -rt 0.5 <> <(:) || true # a pause without a process
    done
}

# packages NAME...: Debian packages; only those that are missing are installed.
packages() {
    local missing=() name
    for name; do
        dpkg-query --show --showformat='${db:Status-Status}' "$name" 2> /dev/null | grep -qx installed || missing+=("$name")
    done
    ((${#missing[@]})) || return 0
    echo "installing ${missing[*]}"
    apt_get update
    apt_get install --yes --no-install-recommends "${missing[@]}"
}

apt_get() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" > /dev/null \
        || fail "apt-get $1 failed (its words are above)"
}

# docker_engine: a Docker Engine that answers, installed and started where there is none.
docker_engine() {
    docker_answers && return
    command -v dockerd > /dev/null || packages docker.io iptables procps
    command -v docker > /dev/null || packages docker-cli # from Debian 13 on no longer in docker.io
    if [[ -d /run/systemd/system ]]; then
        systemctl enable --quiet --now docker.service || fail "Docker does not start: journalctl -u docker.service"
    elif ! docker_answers; then
        echo "starting dockerd in the background, since no systemd runs here; its log is /var/log/dockerd.log"
        # What a dockerd leaves that was killed; its process ID may be another's by now.
        pgrep -x dockerd > /dev/null || rm -f /var/run/docker.pid /var/run/docker/containerd/containerd.pid
        setsid nohup dockerd > /var/log/dockerd.log 2>&1 < /dev/null &
    fi
    wait_for 60 "Docker Engine does not answer on /var/run/docker.sock" docker_answers
}

docker_answers() {
    docker version > /dev/null 2>&1
}

# venv REQUIREMENTS...: the virtual environment with those pins, and this checkout in it as the
# collection inference.fleet. It is filled again when the pins have changed.
venv() {
    local file pins mark
    for file; do
        pins=$(cat requirements*.txt "$file" | sha256sum)
        mark=$VENV/${file//\//-}.done
        [[ $(cat "$mark" 2> /dev/null) != "$pins" ]] || continue
        [[ -x $VENV/bin/pip ]] || /usr/bin/python3 -m venv --clear "$VENV"
        echo "installing the Python packages of $file into .venv (a minute or two)"
        # Python compiles what it imports; compiling everything would take longer than the downloads.
        "$VENV/bin/pip" install --quiet --disable-pip-version-check --no-compile --progress-bar=on --requirement "$file" \
            || fail "pip could not install $file (its words are above)"
        echo "$pins" > "$mark"
    done
    # In a folder of its own and named by a .pth file: mypy does not take what lies in site-packages for ours.
    mkdir -p "$VENV/src/ansible_collections/inference"
    ln -sfn "$PWD" "$VENV/src/ansible_collections/inference/fleet"
    # Short processes with many objects: with Python's own threshold, a tenth to a fifth of their time goes into its garbage
    # collector, which finds nothing.
    printf '%s\n' "$VENV/src" 'import gc; gc.set_threshold(100_000, 50, 100)' \
        > "$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/inference-fleet.pth"
}
