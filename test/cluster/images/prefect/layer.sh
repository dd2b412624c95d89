#!/usr/bin/env bash
# Makes the file system of the image that stands for prefecthq/prefect:1.4.1, as one compressed layer.
#   unshare --mount layer.sh REQUIREMENTS LAYER.tar.gz        (as root, on Debian)
# Like the official image: root, tini and entrypoint.sh, prefect with its Kubernetes extra, a pip that can install more, no git.
# Unlike it: Debian 12 with its Python 3.11 and pip instead of python:3.x-slim with pip 20.2, no C compiler, the releases that
# REQUIREMENTS pins, and dask-kubernetes, which the official image leaves to derived images and to EXTRA_PIP_PACKAGES.
set -euo pipefail
requirements=$1 layer=$2
here=$(cd "$(dirname "$0")" && pwd)
root=$layer.root

mirror=$(apt-get indextargets --no-release-info --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' \
  "Release: $(. /etc/os-release && echo "$VERSION_CODENAME")" | head -n 1)
remove_root() { rm -rf --one-file-system "$root"; }
remove_root
trap 'umount --quiet "$root/proc" || true; remove_root' EXIT
debootstrap --variant=minbase --include=python3,python3-pip,tini,ca-certificates,procps bookworm "$root" "${mirror:?apt has no Debian mirror}"

rm "$root"/usr/lib/python3*/EXTERNALLY-MANAGED # or pip, and so EXTRA_PIP_PACKAGES, would refuse to install
ln -s /usr/bin/python3 "$root/usr/local/bin/python"
mkdir "$root/root/.prefect"
install "$here/entrypoint.sh" "$root/usr/local/bin/"

# What only this machine needs to reach its package index goes below /tmp or into the environment, and so not into the layer.
cp "$requirements" "$root/tmp/requirements.txt"
cp "${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}" "$root/tmp/ca.crt"
env --unset=TMPDIR PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PIP_CERT=/tmp/ca.crt REQUESTS_CA_BUNDLE=/tmp/ca.crt \
  chroot "$root" pip install --no-cache-dir --root-user-action=ignore --requirement /tmp/requirements.txt

tar --create --one-file-system --directory "$root" --sort=name --numeric-owner \
  --exclude='./tmp/*' --exclude='./dev/*' --exclude=./etc/hostname --exclude=./etc/resolv.conf --exclude=./etc/apt/sources.list \
  --exclude='./var/cache/*' --exclude='./var/lib/apt/lists/*' --exclude='./var/log/*' \
  --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' . | gzip --fast > "$layer.partial"
mv "$layer.partial" "$layer"
