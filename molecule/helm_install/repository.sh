#!/usr/bin/env bash
# Makes what the hosts install helm from: a signed apt repository, a tarball, the keys of its owner and of a stranger, and a Go module
# proxy with modules that have helm's paths and, like helm's, know their whole version only if the linker is told it.
# Arguments: the folder, the program and its version.
set -euo pipefail
folder=$1 helm=$2 version=$3
architecture=$(dpkg --print-architecture)
work=$(mktemp -d)
export GNUPGHOME=$work/gnupg
trap 'gpgconf --kill all; rm -rf "$work"' EXIT
mkdir -m 700 "$GNUPGHOME"

mkdir -p "$work/package/DEBIAN" "$work/package/usr/sbin" "$work/linux-$architecture" "$work/served/dists/any/main/binary-$architecture"
cp "$helm" "$work/linux-$architecture/helm"
cp "$helm" "$work/package/usr/sbin/helm"
cd "$work/served"
tar -c -C "$work" "linux-$architecture" | gzip -1 >"helm-v$version-linux-$architecture.tar.gz"
sha256sum "helm-v$version-linux-$architecture.tar.gz" | cut -d' ' -f1 >helm.sha256

# As with the Helm project's repository, not the key itself signs but a subkey of it.
for owner in helm stranger; do
  gpg --quiet --batch --passphrase '' --quick-generate-key "$owner" ed25519 cert never
  gpg --list-keys --with-colons "$owner" | awk -F: '$1 == "fpr" { print $10; exit }' >"$owner.fingerprint"
  gpg --quiet --batch --passphrase '' --quick-add-key "$(cat "$owner.fingerprint")" ed25519 sign never
  gpg --armor --export "$owner" >"$owner.asc"
done

printf '%s\n' "Package: helm" "Version: $version-1" "Architecture: $architecture" "Maintainer: Tests <tests@localhost>" "Description: helm" \
  >"$work/package/DEBIAN/control"
dpkg-deb --root-owner-group -Znone --build "$work/package" helm.deb
packages=main/binary-$architecture/Packages
{
  dpkg-deb --field helm.deb
  echo "Filename: helm.deb"
  echo "Size: $(stat -c %s helm.deb)"
  echo "SHA256: $(sha256sum helm.deb | cut -d' ' -f1)"
} >"dists/any/$packages"
printf '%s\n' "Suite: any" "Components: main" "Architectures: $architecture" "Date: $(LC_ALL=C date -u '+%a, %d %b %Y %H:%M:%S UTC')" "SHA256:" \
  " $(sha256sum "dists/any/$packages" | cut -d' ' -f1) $(stat -c %s "dists/any/$packages") $packages" \
  | gpg --quiet --batch --local-user helm --clearsign >dists/any/InRelease

python3 - <<'END'
import pathlib
import zipfile

for major in (3, 4):
    module, version = f"helm.sh/helm/v{major}", f"v{major}.99.1"
    files = {
        "go.mod": f"module {module}\n\ngo 1.21\n",
        "internal/version/version.go": f'package version\n\nvar version = "v{major}.99"\n\nfunc Get() string {{ return version }}\n',
        "cmd/helm/main.go": f'package main\n\nimport "fmt"\nimport "{module}/internal/version"\n\nfunc main() {{ fmt.Println(version.Get()) }}\n',
    }
    proxy = pathlib.Path("go", module, "@v")
    proxy.mkdir(parents=True)
    (proxy / "list").write_text(version)
    (proxy / f"{version}.info").write_text(f'{{"Version": "{version}"}}')
    (proxy / f"{version}.mod").write_text(files["go.mod"])
    with zipfile.ZipFile(proxy / f"{version}.zip", "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{module}@{version}/{name}", text)
END

chmod -R a+rX "$work/served"
mv "$work/served" "$folder"
